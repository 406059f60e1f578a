"""Ask the terminal what it is, before Textual starts and reads the keyboard.

The tty is raw and silent while this runs. Bytes that are not answers were typed by a person; they
come back in ``ProbeResult.typed`` for ``typeahead.replay`` (TIOCSTI is disabled on new kernels).
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from tuipacs.ui.graphics.answers import TerminalAnswers, has_final_answer, split_answers
from tuipacs.ui.graphics.choice import (
    GraphicsChoice,
    Protocol,
    choose,
    in_multiplexer,
    may_be_asked,
)

LONGEST_WAIT = 2.5  # seconds; a terminal on a slow line answers well within a second
PATIENCE = 0.15  # seconds after which a person should be told what is waited for
_MOST_BYTES = 64 * 1024

_XTVERSION = b"\x1b[>0q"
_KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_SIZES = b"\x1b[16t\x1b[14t"
_SIXEL_LIMITS = b"\x1b[?1;1;0S\x1b[?2;1;0S"
_DA1 = b"\x1b[c"


class ProbeResult(Struct, frozen=True, kw_only=True):
    """The decision, the keys typed meanwhile, and how the asking went."""

    choice: GraphicsChoice
    typed: bytes = b""
    asked: bool = False
    answered: bool = False
    why_not_asked: str = ""
    milliseconds: float = 0.0


def probe_terminal(
    requested: Protocol = Protocol.AUTO,
    *,
    input_fd: int | None = None,
    output_fd: int | None = None,
    environment: Mapping[str, str] | None = None,
    longest_wait: float = LONGEST_WAIT,
    while_waiting: Callable[[], None] | None = None,
) -> ProbeResult:
    """Ask the terminal and decide; returns at once when the last answer is there.

    ``while_waiting`` is called once if there is no answer within `PATIENCE`; it may write.
    Never raises for what a terminal does or fails to do. The tty is left as it was found.
    """
    environment = os.environ if environment is None else environment
    input_fd = _descriptor(sys.__stdin__) if input_fd is None else input_fd
    output_fd = _descriptor(sys.__stdout__) if output_fd is None else output_fd
    why_not = _why_not_ask(requested, input_fd, output_fd, environment)
    is_terminal = _is_tty(input_fd) and _is_tty(output_fd)
    window = window_size(output_fd) if is_terminal else (0, 0, 0, 0)
    started = time.monotonic()
    received = b""
    if not why_not:
        received = _ask(input_fd, output_fd, _questions(environment), longest_wait, while_waiting)
    answers, typed = split_answers(received) if received else (TerminalAnswers(), b"")
    return ProbeResult(
        choice=choose(requested, answers, environment, is_terminal=is_terminal, window=window),
        typed=typed,
        asked=not why_not,
        answered=answers.attributes is not None,
        why_not_asked=why_not,
        milliseconds=round((time.monotonic() - started) * 1000, 1),
    )


def explain(result: ProbeResult) -> list[str]:
    """Lines for ``tuipacs doctor``: what was found, what was chosen, and what to do instead."""
    choice = result.choice
    name = f"{choice.terminal} {choice.version}".strip() or "unknown (it gives no name)"
    if choice.multiplexer:
        name += f", inside {choice.multiplexer}"
    if not result.asked:
        asked = f"not asked: {result.why_not_asked}"
    elif result.answered:
        asked = f"answered in {result.milliseconds:.0f} ms"
    else:
        asked = f"no answer within {result.milliseconds / 1000:.1f} s"
    lines = [
        f"terminal   {name}",
        f"questions  {asked}",
        f"pictures   {choice.protocol.value}: {choice.reason}",
        f"cell       {choice.cell_width} x {choice.cell_height} pixels ({choice.cell_size_source})",
        f"colours    {choice.colour_depth.value}",
    ]
    if choice.protocol is Protocol.SIXEL:
        limit = f"{choice.sixel_max_width} x {choice.sixel_max_height} pixels"
        lines.append(
            f"sixel      {choice.sixel_registers} colours, at most "
            f"{limit if choice.sixel_max_width else 'any size'}"
        )
    lines.append("override   tuipacs --graphics auto|kitty|sixel|half|off")
    return lines


def window_size(fd: int) -> tuple[int, int, int, int]:
    """Return (rows, columns, width, height) of the terminal, the last two in pixels, or zeros."""
    try:
        packed = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return (0, 0, 0, 0)
    rows, columns, width, height = struct.unpack("HHHH", packed)
    return (rows, columns, width, height)


def _descriptor(stream: object) -> int:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]  # None, closed or a test's stream
    except (AttributeError, OSError, ValueError):
        return -1


def _is_tty(fd: int) -> bool:
    return fd >= 0 and os.isatty(fd)


def _why_not_ask(
    requested: Protocol, input_fd: int, output_fd: int, environment: Mapping[str, str]
) -> str:
    if requested is Protocol.OFF:
        return "pictures are off"
    if not _is_tty(input_fd) or not _is_tty(output_fd):
        return "input or output is not a terminal"
    if why := may_be_asked(environment):
        return why
    try:
        in_front = os.tcgetpgrp(input_fd) == os.getpgrp()
    except OSError:
        in_front = True  # not our controlling terminal, so no job control stops us
    return "" if in_front else "the program is in the background"


def _questions(environment: Mapping[str, str]) -> bytes:
    # tmux takes an APC string for the pane's title, and screen prints one in the status line.
    kitty = b"" if in_multiplexer(environment) else _KITTY
    return _XTVERSION + kitty + _SIZES + _SIXEL_LIMITS + _DA1


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    # TCSANOW: TCSAFLUSH throws away what was typed ahead, TCSADRAIN hangs after a ctrl+s.
    before = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)


def _ask(
    input_fd: int,
    output_fd: int,
    questions: bytes,
    longest_wait: float,
    while_waiting: Callable[[], None] | None,
) -> bytes:
    received = b""
    try:
        with _raw(input_fd):
            sent = 0
            started = time.monotonic()
            while sent < len(questions):
                sent += os.write(output_fd, questions[sent:])
            while not has_final_answer(received) and len(received) < _MOST_BYTES:
                limit = longest_wait if while_waiting is None else min(PATIENCE, longest_wait)
                remaining = max(0.0, started + limit - time.monotonic())
                if select.select([input_fd], [], [], remaining)[0]:
                    chunk = os.read(input_fd, 4096)
                    if not chunk:
                        break
                    received += chunk
                elif while_waiting is not None:
                    while_waiting()
                    while_waiting = None
                else:
                    break
    except (OSError, termios.error):
        pass  # the terminal went away: whatever was read is still sorted out by the caller
    return received
