"""The worked example: MNIST's digits, a small network, and what each mode of quantization makes of it."""
