"""The full-screen terminal UI; talks to the archive only through the client."""
