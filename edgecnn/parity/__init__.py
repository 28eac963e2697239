"""Whether an export matches the trained model."""
