"""What a .tflite file computes: its operators, their flow and their cost."""
