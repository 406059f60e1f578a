"""Being called: the listener and its associations, from the connection to the end."""
