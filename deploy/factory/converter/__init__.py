"""TensorFlow's converter, driven."""
