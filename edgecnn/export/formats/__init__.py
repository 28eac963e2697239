"""Exported file formats, one per file."""
