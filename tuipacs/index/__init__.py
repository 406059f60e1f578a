"""What the archive knows about its bytes: one SQLite file, reached through peewee."""
