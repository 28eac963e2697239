"""Exported file formats, one a file."""
