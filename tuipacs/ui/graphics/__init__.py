"""Pictures on a terminal: what it can show, and the bytes and cells that show it.

Nothing is imported here: the probe must run before Textual, NumPy and Pillow are loaded.
"""
