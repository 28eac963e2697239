"""Whether an export still answers as the trained model does."""
