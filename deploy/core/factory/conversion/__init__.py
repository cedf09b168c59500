"""From a trained model to a .tflite file: what may be asked, what may be left in, how far it may differ."""
