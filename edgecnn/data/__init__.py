"""Labelled images: where they come from, and which of them a stage works on."""
