"""What models said of pictures, counted, weighed and shown."""
