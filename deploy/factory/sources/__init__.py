"""Models that TensorFlow did not make, each opened as a parent of what the factory converts."""
