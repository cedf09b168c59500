"""Networks that learn: new labels, fewer weights, fewer bits."""
