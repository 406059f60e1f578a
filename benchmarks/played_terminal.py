"""The far side of a pty: answers like a terminal, notes when each byte came, replays it later.

Reading only takes the time and keeps the bytes. They are parsed (by pyte) after the measurement,
so that parsing does not take the processor from the program that is measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pyte

ALTERNATE_SCREEN = b"\x1b[?1049h"
_QUERY = re.compile(rb"\x1b\[(?P<size>16)t|\x1b\[\?(?P<sync>2026)\$p|\x1b\[(?P<da1>c)")
_ANSWERS = {"size": b"\x1b[6;20;10t", "sync": b"\x1b[?2026;2$y", "da1": b"\x1b[?6c"}
# What pyte would print as text or misread: strings to the terminal, private queries.
_FOREIGN = re.compile(
    rb"\x1b[P_^\]X][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b\[[<=>][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p"
)
_CPU_CLOCK = 2  # the lowest bits of a process' clock, as clock_getcpuclockid(3) makes it on Linux
_IN_ROW = 3  # a column inside every line of a list that starts at the left edge
_UNFINISHED = re.compile(rb"\x1b(?:\[[^@-~]*|[P_^\]X][^\x1b\x07]*\x1b?)?\Z")


class PlayedTerminal:
    """A terminal without pictures, 24 bit colours. A ``silent`` one answers no question."""

    def __init__(self, columns: int, rows: int, *, silent: bool = False) -> None:
        self.columns, self.rows, self.silent = columns, rows, silent
        self.chunks: list[tuple[float, bytes]] = []  # (time.perf_counter(), what was written)
        self.processor: list[float] = []  # seconds the program had worked when each chunk came
        self._clock = 0
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._closing = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a program on this terminal."""
        process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )
        self._clock = (~process.pid << 3) | _CPU_CLOCK
        return process

    def type(self, keys: bytes) -> float:
        """Type; returns the time just before."""
        now = time.perf_counter()
        os.write(self._master, keys)
        return now

    def close(self) -> None:
        """After the program ended."""
        self._closing = True
        self._reader.join()
        os.close(self._master)
        os.close(self._slave)

    def _read(self) -> None:
        tail = b""
        while not self._closing:
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            data = os.read(self._master, 65536)
            now, worked = time.perf_counter(), 0.0
            with contextlib.suppress(OSError):  # it has ended
                worked = time.clock_gettime(self._clock) if self._clock else 0.0
            self.processor.append(worked)
            self.chunks.append((now, data))
            if self.silent:
                continue
            tail += data
            end = 0
            for query in _QUERY.finditer(tail):
                end = query.end()
                os.write(self._master, _ANSWERS[str(query.lastgroup)])
            tail = tail[max(end, len(tail) - 16) :]


class Replay:
    """The screen as it was at any time, going forward only."""

    def __init__(self, terminal: PlayedTerminal) -> None:
        self._terminal = terminal
        self.screen = pyte.Screen(terminal.columns, terminal.rows)
        self._stream = pyte.ByteStream(self.screen)
        self._next = 0
        self._held = b""
        self._started = False

    def step(self) -> float:
        """Take the next chunk; returns when it came, infinity when there is none."""
        if self._next >= len(self._terminal.chunks):
            return float("inf")
        at, data = self._terminal.chunks[self._next]
        self._next += 1
        data = self._held + data
        self._held = b""
        if not self._started:
            before, found, after = data.partition(ALTERNATE_SCREEN)
            if not found:
                self._held = before
                return at
            self._started, data = True, after
        if unfinished := _UNFINISHED.search(data):
            data, self._held = data[: unfinished.start()], data[unfinished.start() :]
        self._stream.feed(_FOREIGN.sub(b"", data))
        return at

    def until(self, moment: float) -> None:
        """Take all that came before ``moment``."""
        chunks = self._terminal.chunks
        while self._next < len(chunks) and chunks[self._next][0] < moment:
            self.step()

    def first(self, holds: Callable[[Replay], bool], before: float) -> float | None:
        """When ``holds`` was first true, from here on; None if not before ``before``."""
        chunks = self._terminal.chunks
        while self._next < len(chunks) and chunks[self._next][0] < before:
            at = self.step()
            if holds(self):
                return at
        return None

    def wait(self, holds: Callable[[Replay], bool], what: str, seconds: float = 60.0) -> float:
        """Wait, while the program runs, until ``holds``; returns when it became true."""
        deadline = time.perf_counter() + seconds
        if holds(self):
            return time.perf_counter()
        while time.perf_counter() < deadline:
            if (at := self.first(holds, deadline)) is not None:
                return at
            time.sleep(0.02)
        raise SystemExit(f"never seen: {what}\n" + "\n".join(self.screen.display))

    @property
    def worked(self) -> float:
        """Processor seconds the program had used when the latest chunk taken came."""
        return self._terminal.processor[self._next - 1] if self._next else 0.0

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.screen.display)

    def cells(self) -> tuple[object, ...]:
        """Everything that can be seen."""
        width = range(self.screen.columns)
        return tuple(
            tuple(self.screen.buffer[y][x] for x in width) for y in range(self.screen.lines)
        )

    def row_under_cursor(self, pattern: re.Pattern[str]) -> str | None:
        """The first match of ``pattern`` in the one line of a list with another background."""
        hits = ((y, pattern.search(line)) for y, line in enumerate(self.screen.display))
        rows = [(self.screen.buffer[y][_IN_ROW].bg, hit[0]) for y, hit in hits if hit]
        if len(rows) < 3:
            return None
        usual = Counter(colour for colour, _ in rows).most_common(1)[0][0]
        lit = [text for colour, text in rows if colour != usual]
        return lit[0] if len(lit) == 1 else None
