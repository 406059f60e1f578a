"""One question to a person a file."""
