"""Pictures: one frame of a stored object, decoded and windowed, in a helper process."""
