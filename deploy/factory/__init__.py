"""What needs TensorFlow, in processes of its own; nothing else imports it, and no device has it."""
