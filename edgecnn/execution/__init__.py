"""Workers and where they run."""
