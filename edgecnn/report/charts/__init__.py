"""Charts of the report as vector graphics, drawn from records."""
