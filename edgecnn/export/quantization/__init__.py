"""Calibration, int8, and mixed precision."""
