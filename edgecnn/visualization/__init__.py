"""Pictures: charts and feature maps."""
