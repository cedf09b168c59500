"""The Edge TPU's compiler: what it takes, what it says, and what to do where it is not."""
