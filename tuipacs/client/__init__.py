"""The only way for screens and commands to reach an archive."""
