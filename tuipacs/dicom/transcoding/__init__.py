"""The same object in another transfer syntax: only what changes no pixel, text or number."""
