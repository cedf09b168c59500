"""Where frames come from: one module a kind, of which only the one that is used is imported."""
