"""Plain data with no I/O: what the archive talks about."""
