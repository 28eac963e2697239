"""Pixels in: from an image file to the model's input, the same to the bit everywhere."""
