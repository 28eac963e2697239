"""Keras models to train, one a file."""
