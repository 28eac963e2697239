"""Keras models to train, one per file."""
