"""What a person sees before the first frame, when there is something to wait for."""

from __future__ import annotations

import os

_WORDS = b"tuipacs: asking the terminal what it can show ..."
_CLEAR_LINE = b"\r\x1b[K"


class Notice:
    """One plain line on the terminal ``fd``, taken away again."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_shown = False

    def show(self) -> None:
        """Write the line."""
        self._is_shown = True
        self._write(b"\r" + _WORDS)

    def clear(self) -> None:
        """Leave no trace of it."""
        if self._is_shown:
            self._is_shown = False
            self._write(_CLEAR_LINE)

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._fd, data)
        except OSError:
            self._is_shown = False  # the terminal went away; who draws next will notice
