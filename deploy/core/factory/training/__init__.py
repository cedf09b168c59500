"""What a network learns from, and what it may start from."""
