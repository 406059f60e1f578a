"""Which way to show pictures, decided by what the terminal is, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from tuipacs.ui.graphics.answers import TerminalAnswers

FALLBACK_CELL = (8, 16)
_SANE_CELL = range(2, 257)
DEFAULT_SIXEL_REGISTERS = 256
# Terminals that draw kitty's U+10EEEE placeholders, and since when. WezTerm and Konsole answer
# the graphics query too but do not draw them.
_PLACEHOLDERS_SINCE = {"kitty": (0, 28), "ghostty": (1, 0)}
_TRUECOLOUR_BRANDS = {"contour", "foot", "ghostty", "iterm2", "kitty", "konsole"}
_TRUECOLOUR_BRANDS |= {"mintty", "mlterm", "rio", "vte", "wezterm", "xterm"}


class Protocol(StrEnum):
    """How a picture reaches the terminal. AUTO is only a request."""

    AUTO = "auto"
    KITTY = "kitty"
    SIXEL = "sixel"
    HALF = "half"
    OFF = "off"


class ColourDepth(StrEnum):
    """How many colours text cells may have.

    The values are those of TEXTUAL_COLOR_SYSTEM (read when Textual is imported), except NONE.
    """

    TRUECOLOUR = "truecolor"
    INDEXED = "256"
    BASIC = "standard"
    NONE = "none"


class GraphicsChoice(Struct, frozen=True, kw_only=True):
    """The decision for one terminal. Sizes are in pixels; ``reason`` is a sentence for people."""

    protocol: Protocol
    reason: str
    cell_width: int = FALLBACK_CELL[0]
    cell_height: int = FALLBACK_CELL[1]
    cell_size_source: str = "assumed"
    window_cell: tuple[int, int] = (0, 0)  # as TIOCGWINSZ said at the probe
    colour_depth: ColourDepth = ColourDepth.TRUECOLOUR
    terminal: str = ""
    version: str = ""
    multiplexer: str = ""
    sixel_registers: int = DEFAULT_SIXEL_REGISTERS
    sixel_max_width: int = 0  # 0: the terminal names no limit
    sixel_max_height: int = 0


def choose(
    requested: Protocol,
    answers: TerminalAnswers,
    environment: Mapping[str, str],
    *,
    is_terminal: bool = True,
    window: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> GraphicsChoice:
    """Decide. ``window`` is (rows, columns, width, height) as TIOCGWINSZ gives it, in pixels."""
    depth = colour_depth(answers, environment)
    width, height, source = _cell_size(answers, window)
    protocol: Protocol
    if requested is not Protocol.AUTO:
        protocol = requested
        reason = f"asked for with --graphics {requested.value}"
    elif not is_terminal:
        protocol, reason = Protocol.OFF, "input or output is not a terminal"
    else:
        protocol, reason = _automatic(answers, environment, depth)
    return GraphicsChoice(
        protocol=protocol,
        reason=reason,
        cell_width=width,
        cell_height=height,
        cell_size_source=source,
        window_cell=window_cell(window),
        colour_depth=depth,
        terminal=answers.brand,
        version=answers.version,
        multiplexer=_multiplexer(answers, environment),
        sixel_registers=min(answers.sixel_registers or DEFAULT_SIXEL_REGISTERS, 256),
        sixel_max_width=answers.sixel_width,
        sixel_max_height=answers.sixel_height,
    )


def colour_depth(answers: TerminalAnswers, environment: Mapping[str, str]) -> ColourDepth:
    """How many colours text may have here (``NO_COLOR``: https://no-color.org)."""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR") or term in ("", "dumb"):
        return ColourDepth.NONE
    if term == "linux":
        return ColourDepth.BASIC
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return ColourDepth.TRUECOLOUR
    if not _multiplexer(answers, environment) and (
        answers.brand in _TRUECOLOUR_BRANDS
        or "WT_SESSION" in environment
        or term.endswith("-direct")
    ):
        return ColourDepth.TRUECOLOUR
    if term.endswith("256color") or answers.brand:
        return ColourDepth.INDEXED
    return ColourDepth.BASIC


def after_resize(choice: GraphicsChoice, window: tuple[int, int, int, int]) -> GraphicsChoice:
    """The choice with the cell size of now, if the window says that the font has changed."""
    cell = window_cell(window)
    if cell == choice.window_cell or cell[0] not in _SANE_CELL or cell[1] not in _SANE_CELL:
        return choice
    return replace(
        choice,
        cell_width=cell[0],
        cell_height=cell[1],
        cell_size_source="TIOCGWINSZ",
        window_cell=cell,
    )


def window_cell(window: tuple[int, int, int, int]) -> tuple[int, int]:
    """Cell width and height from (rows, columns, width, height), or (0, 0) if it does not say."""
    rows, columns, width, height = window
    return (width // columns, height // rows) if rows and columns else (0, 0)


def may_be_asked(environment: Mapping[str, str]) -> str:
    """Return why this terminal must not be sent queries, or ``""`` if it may."""
    term = environment.get("TERM", "")
    if term in ("", "dumb", "linux"):
        return f"TERM={term or '(empty)'} does not understand queries"
    if environment.get("TERM_PROGRAM") == "Apple_Terminal":
        return "Terminal.app prints parts of queries it does not know"
    return ""


def in_multiplexer(environment: Mapping[str, str]) -> str:
    """Return ``tmux``, ``screen`` or ``""`` from the environment alone."""
    term = environment.get("TERM", "")
    if environment.get("TMUX") or term.startswith("tmux"):
        return "tmux"
    if environment.get("STY") or term.startswith("screen"):
        return "screen"
    return ""


def _multiplexer(answers: TerminalAnswers, environment: Mapping[str, str]) -> str:
    return "tmux" if answers.brand == "tmux" else in_multiplexer(environment)


def _automatic(
    answers: TerminalAnswers, environment: Mapping[str, str], depth: ColourDepth
) -> tuple[Protocol, str]:
    name = f"{answers.brand or 'this terminal'} {answers.version}".strip()
    outer = _multiplexer(answers, environment)
    since = _PLACEHOLDERS_SINCE.get(answers.brand)
    if answers.kitty_graphics and since and not outer and _is_utf8(environment):
        if _numbers(answers.version) >= since:
            return Protocol.KITTY, f"{name} draws kitty graphics with placeholders"
        name += f", older than {since[0]}.{since[1]}, has no kitty placeholders"
    if answers.attributes is not None and 4 in answers.attributes[1:] and outer != "screen":
        return Protocol.SIXEL, f"{name} reports sixel graphics" + (
            f" inside {outer}" if outer and answers.brand != outer else ""
        )
    return _text_cells(name, outer, answers, environment, depth)


def _text_cells(
    name: str,
    outer: str,
    answers: TerminalAnswers,
    environment: Mapping[str, str],
    depth: ColourDepth,
) -> tuple[Protocol, str]:
    if depth is ColourDepth.NONE:
        why = "NO_COLOR is set" if environment.get("NO_COLOR") else "TERM is dumb"
        return Protocol.OFF, f"{why} and {name} reports no pixel graphics"
    if depth is ColourDepth.BASIC:
        return Protocol.OFF, "too few colours for half-blocks (TERM or COLORTERM says so)"
    if not _is_utf8(environment):
        return Protocol.OFF, "the locale is not UTF-8, so half-blocks cannot be written"
    if outer:
        return Protocol.HALF, f"{outer} passes no pixel graphics on"
    if answers.attributes is None:
        return Protocol.HALF, f"{name} did not answer in time"
    if answers.kitty_graphics and answers.brand not in _PLACEHOLDERS_SINCE:
        return Protocol.HALF, f"{name} has kitty graphics, but placeholders are not known to work"
    return Protocol.HALF, f"{name} reports no pixel graphics"


def _is_utf8(environment: Mapping[str, str]) -> bool:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := environment.get(name):
            return "utf-8" in value.lower() or "utf8" in value.lower()
    return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d{1,9}", version)[:3])


def _cell_size(answers: TerminalAnswers, window: tuple[int, int, int, int]) -> tuple[int, int, str]:
    reported = (*window[:2], answers.window_width, answers.window_height)
    candidates = (
        (answers.cell_width, answers.cell_height, "CSI 16 t"),
        (*window_cell(reported), "CSI 14 t"),
        (*window_cell(window), "TIOCGWINSZ"),
    )
    for cell_width, cell_height, source in candidates:
        if cell_width in _SANE_CELL and cell_height in _SANE_CELL:
            return cell_width, cell_height, source
    return *FALLBACK_CELL, "assumed"
