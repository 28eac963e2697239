"""Sources of labelled images, one a file."""
