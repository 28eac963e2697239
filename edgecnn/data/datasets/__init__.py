"""Sources of labelled images, one per file."""
