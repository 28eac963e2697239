"""The tables of the report, one subject a file, filled from records."""
