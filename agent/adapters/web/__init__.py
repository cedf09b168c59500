"""The HTTP server of a page, and what every page has in common: who may look, what a browser may load."""
