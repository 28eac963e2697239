"""How latencies are measured and compared."""
