"""What executes artifacts, one a file."""
