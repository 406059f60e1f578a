"""The door: every way to the archive's content goes through a guarded method here."""
