"""Model files of any origin, read without their frameworks."""
