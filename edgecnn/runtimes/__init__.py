"""What executes artifacts, one per file."""
