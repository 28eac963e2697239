"""Readers of exported files of any origin, one per file kind."""
