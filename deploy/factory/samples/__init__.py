"""Representative data, as samples of a model's inputs."""
