"""A pty that plays a brand: answers queries late, early or never, and can be typed on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

_QUERY = re.compile(
    rb"\x1b\[>0?(?P<version>q)|\x1b_G[^\x1b]*a=(?P<kitty>q)[^\x1b]*\x1b\\|\x1b\[(?P<size>1[46])t"
    rb"|\x1b\[\?(?P<limit>[12]);1;0S|\x1b\[(?P<da1>c)"
)


@dataclass(frozen=True)
class Brand:
    """What one terminal answers, from its documentation; empty: it keeps silent."""

    xtversion: str = ""
    da1: str = ""
    kitty: bool = False
    cell: tuple[int, int] = (0, 0)
    registers: int = 0
    largest: tuple[int, int] = (0, 0)
    delay: float = 0.0

    def answer(self, query: re.Match[bytes], rows: int, columns: int) -> bytes:
        width, height = self.cell
        if query["version"] and self.xtversion:
            return b"\x1bP>|" + self.xtversion.encode() + b"\x1b\\"
        if query["kitty"] and self.kitty:
            return b"\x1b_Gi=31;OK\x1b\\"
        if query["size"] == b"16" and width:
            return b"\x1b[6;%d;%dt" % (height, width)
        if query["size"] == b"14" and width:
            return b"\x1b[4;%d;%dt" % (height * rows, width * columns)
        if query["limit"] == b"1" and self.registers:
            return b"\x1b[?1;0;%dS" % self.registers
        if query["limit"] == b"2" and self.largest[0]:
            return b"\x1b[?2;0;%d;%dS" % self.largest
        if query["da1"] and self.da1:
            return b"\x1b[?" + self.da1.encode() + b"c"
        return b""


# kitty 0.35, foot 1.16, xterm 379 -ti vt340, WezTerm and so on, as their manuals and sources say.
KITTY = Brand("kitty(0.35.2)", "62;", kitty=True, cell=(10, 20))
OLD_KITTY = replace(KITTY, xtversion="kitty(0.26.5)")
GHOSTTY = Brand("ghostty 1.1.3", "62;22;52", kitty=True, cell=(10, 20))
FOOT = Brand("foot(1.16.2)", "62;4;22", cell=(10, 20), registers=1024)
XTERM_VT340 = Brand(
    "XTerm(379)", "63;1;2;4;6;9;15;16;22;28", registers=256, largest=(1000, 1000), cell=(10, 20)
)
XTERM = Brand("XTerm(379)", "64;1;2;6;9;15;16;17;18;21;22;28")
WEZTERM = Brand("WezTerm 20240203-110809-5046fc22", "65;4;6;18;22", kitty=True, cell=(10, 20))
KONSOLE = Brand("Konsole 23.08.1", "62;1;4", kitty=True, cell=(10, 20))
GNOME_TERMINAL = Brand("VTE(7402)", "65;1;9", cell=(9, 18))
WINDOWS_TERMINAL = Brand("", "61;4;6;7;14;21;22;23;24;28;32;42", cell=(10, 20))
ALACRITTY = Brand("", "6", cell=(9, 18))
TMUX = Brand("tmux 3.3a", "1;2")
TMUX_WITH_SIXEL = Brand("tmux 3.4", "1;2;4", cell=(10, 20))
SCREEN = Brand("", "1;2")
SILENT = Brand()


class Terminal:
    """The far side of a pty. ``output`` is all that was written to it so far."""

    def __init__(self, brand: Brand, *, rows: int = 24, columns: int = 80) -> None:
        self.brand = brand
        self.rows, self.columns = rows, columns
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.output = b""
        self.typed_before_answer = b""  # keys sent just before the first answer
        self.typed_between_answers = b""
        self._answered_to = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def resize(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        width, height = self.brand.cell
        packed = struct.pack("HHHH", rows, columns, width * columns, height * rows)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, packed)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(
        self, condition: Callable[[bytes], bool | re.Match[bytes] | None], what: str
    ) -> None:
        """Wait until ``condition(output)`` holds."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self.output), 30):
                raise AssertionError(f"no {what}; the last output was {self.output[-300:]!r}")

    def settle(self, seconds: float = 0.3) -> None:
        """Wait until nothing has been written for a while."""
        size = -1
        while size != len(self.output):
            size = len(self.output)
            time.sleep(seconds)

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        os.close(self.master)
        os.close(self.slave)

    def _play(self) -> None:
        while not self._closing:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            with self._changed:
                self.output += data
                self._changed.notify_all()
            self._answer()

    def _answer(self) -> None:
        for query in _QUERY.finditer(self.output, self._answered_to):
            self._answered_to = query.end()
            answer = self.brand.answer(query, self.rows, self.columns)
            if not answer:
                continue
            time.sleep(self.brand.delay)
            os.write(self.master, self.typed_before_answer)
            self.typed_before_answer = b""
            # Two writes: the program sees the answer in pieces.
            os.write(self.master, answer[:4])
            os.write(self.master, answer[4:])
            os.write(self.master, self.typed_between_answers)


@contextmanager
def terminal(brand: Brand, *, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    played = Terminal(brand, rows=rows, columns=columns)
    try:
        yield played
    finally:
        played.close()


def read_events(log: Path, kind: str) -> list[dict[str, object]]:
    """The events of one kind that ``picture_app.py`` has logged so far."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = (json.loads(line) for line in lines if line.endswith("\n"))
    return [event for event in whole if event["event"] == kind]


class PictureProgram:
    """``picture_app.py`` running on a played terminal."""

    def __init__(self, played: Terminal, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.terminal = played
        self.process = process
        self._log = log

    def events(self, kind: str) -> list[dict[str, object]]:
        return read_events(self._log, kind)

    def wait_for_event(self, kind: str, count: int = 1) -> dict[str, object]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if len(found := self.events(kind)) >= count:
                return found[count - 1]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no event {kind}: {self.terminal.output[-2000:]!r}")


@contextmanager
def picture_program(
    played: Terminal,
    folder: Path,
    frames: list[np.ndarray],
    *arguments: str,
    environment: dict[str, str] | None = None,
) -> Iterator[PictureProgram]:
    np.savez(folder / "frames.npz", *frames)
    log = folder / "log.jsonl"
    program = Path(__file__).with_name("picture_app.py")
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, program, "--frames", folder / "frames.npz", "--log", log, *arguments],
        stdin=played.slave,
        stdout=played.slave,
        stderr=played.slave,
        env={**keep, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(environment or {})},
        start_new_session=True,
    )
    try:
        yield PictureProgram(played, log, process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(10)
