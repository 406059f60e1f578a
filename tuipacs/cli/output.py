"""What commands print: one exact JSON value, or texts that are safe on a terminal."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tuipacs.domain.byte_size import size as size
from tuipacs.domain.safe_text import cells, clean
from tuipacs.errors import ThrottledError, TuipacsError


def to_json(value: Any) -> str:
    """One line of ASCII: safe on any terminal, and exact once parsed."""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, ensure_ascii=True).replace("\x7f", "\\u007f")


def print_json(value: Any) -> None:
    """The one JSON value of a command."""
    sys.stdout.write(to_json(value) + "\n")
    sys.stdout.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Lines of text on stdout, each made safe."""
    for line in lines:
        _write(sys.stdout, line)
    sys.stdout.flush()


def note(line: str) -> None:
    """One line for a person on stderr, made safe."""
    _write(sys.stderr, line)
    sys.stderr.flush()


def _write(stream: Any, line: str) -> None:
    """A terminal in the C locale cannot show everything; say so with escapes, never crash."""
    text = clean(line) + "\n"
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns aligned by cells, two blanks apart; the last one is not padded."""
    table = [tuple(header), *(tuple(clean(str(cell)) for cell in row) for row in rows)]
    widths = [max(cells(row[i]) for row in table) for i in range(len(header))]
    print_lines(
        "  ".join(
            cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    )


def fail(error: TuipacsError, *, as_json: bool) -> None:
    """An error on stderr: a line and its remedy, or one JSON object."""
    if as_json:
        body: dict[str, Any] = {
            "error": error.code,
            "message": error.message,
            "remedy": error.remedy,
        }
        if isinstance(error, ThrottledError):
            body["retry_after"] = error.retry_after
        sys.stderr.write(to_json(body) + "\n")
        return
    for line in error.message.splitlines() or [type(error).__name__]:
        note(f"tuipacs: {line}")
    if error.remedy:
        note(f"         {error.remedy}")


def moment(seconds: float | None) -> str:
    """A time in the local zone, ISO 8601; ``-`` for none."""
    if seconds is None:
        return "-"
    return dt.datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
