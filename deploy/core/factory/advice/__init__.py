"""What can be done with a source, judged from what the converter made of it."""
