"""Lists of nodes as other programs keep them: each reader in a module of its own.

Files are untrusted: readers are linear in the size of a text, take at most `found.MAX_ENTRIES`
entries, and say of each one that they do not take why.
"""
