"""What a terminal says about itself, separated from what a person types meanwhile."""

from __future__ import annotations

import re
from dataclasses import dataclass

# XTVERSION, kitty graphics, DA1, CSI 14 t / 16 t, XTSMGRAPHICS: none of these can be typed.
_ANSWER = re.compile(
    rb"\x1bP>\|(?P<version>[^\x1b\x07]{0,256})(?:\x1b\\|\x07)"
    rb"|\x1b_G(?P<kitty>[^\x1b]{0,1024})\x1b\\"
    rb"|\x1b\[\?(?P<da1>[0-9;]{0,256})c"
    rb"|\x1b\[(?P<size_of>[46]);(?P<height>[0-9]{1,6});(?P<width>[0-9]{1,6})t"
    rb"|\x1b\[\?(?P<registers>[0-9;]{1,64})S"
)
# An answer that has begun. ESC, ESC [ and ESC P alone are keys (escape, alt+[, alt+P).
_BEGUN = re.compile(rb"\x1b(?:P>[^\x1b]*|_G[^\x1b]*|\[\?[0-9;]*|\[[46];[0-9;]*)\x1b?$")
_VERSION = re.compile(r"([A-Za-z][\w.+-]{0,30}?)(?:[ (]+([\w.+-]{1,40}))?\)?$")


@dataclass(frozen=True, kw_only=True)
class TerminalAnswers:
    """The answers of one terminal; None or 0 where it said nothing. Sizes are in pixels."""

    version_text: str = ""  # XTVERSION, printable ASCII only
    attributes: tuple[int, ...] | None = None  # DA1
    kitty_graphics: bool = False
    cell_width: int = 0  # CSI 16 t
    cell_height: int = 0
    window_width: int = 0  # CSI 14 t
    window_height: int = 0
    sixel_registers: int = 0  # XTSMGRAPHICS item 1
    sixel_width: int = 0  # XTSMGRAPHICS item 2: the largest picture
    sixel_height: int = 0

    @property
    def brand(self) -> str:
        """Name of the terminal program in lower case, or ``""``."""
        match = _VERSION.match(self.version_text)
        return match[1].lower() if match else ""

    @property
    def version(self) -> str:
        """Version as the terminal writes it, or ``""``."""
        match = _VERSION.match(self.version_text)
        return match[2] or "" if match else ""


def has_final_answer(data: bytes) -> bool:
    """Whether the answer to DA1, which is asked last, has arrived."""
    return any(match["da1"] is not None for match in _ANSWER.finditer(data))


def split_answers(data: bytes) -> tuple[TerminalAnswers, bytes]:
    """Return the answers in ``data`` and all bytes that are not part of one, in order.

    An answer cut off at the end of ``data`` is dropped: nobody can type its beginning.
    """
    fields: dict[str, object] = {}
    for match in _ANSWER.finditer(data):
        _take(match, fields)
    typed = _BEGUN.sub(b"", _ANSWER.sub(b"", data))
    return TerminalAnswers(**fields), typed  # type: ignore[arg-type]  # names checked by _take


def _take(match: re.Match[bytes], fields: dict[str, object]) -> None:
    if match["version"] is not None:
        text = match["version"].decode("ascii", "replace")
        fields["version_text"] = "".join(c if " " <= c <= "~" else "?" for c in text).strip()[:80]
    elif match["kitty"] is not None:
        fields["kitty_graphics"] = match["kitty"].rpartition(b";")[2] == b"OK"
    elif match["da1"] is not None:
        fields["attributes"] = tuple(int(n) for n in match["da1"].split(b";") if n)
    elif match["size_of"] is not None:
        what = "cell" if match["size_of"] == b"6" else "window"
        fields[f"{what}_width"] = int(match["width"])
        fields[f"{what}_height"] = int(match["height"])
    else:
        _take_limits([int(n) for n in match["registers"].split(b";") if n], fields)


def _take_limits(numbers: list[int], fields: dict[str, object]) -> None:
    match numbers:
        case [1, 0, count]:
            fields["sixel_registers"] = count
        case [2, 0, width, height]:
            fields["sixel_width"] = width
            fields["sixel_height"] = height
        case _:
            pass  # an error status: the terminal does not say
