"""Calling: an association that we open, from the connection to the end."""
