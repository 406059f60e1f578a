"""The one place that makes a text from outside fit to be shown, logged or printed.

A terminal obeys what it is given: an escape sequence in a patient's name can move the cursor, write
to the clipboard or repaint the screen; a bidirectional override can show a name backwards. What
comes out of :func:`clean` holds only characters that draw themselves, and nothing is dropped
silently: what cannot be shown leaves a visible mark, so that two values which differ do not look
the same for that reason.

* C0 controls and DEL become their control pictures (U+2400..U+241F, U+2421).
* C1 controls, bidirectional controls, other format characters (also zero-width joiners, U+FEFF and
  tags), line and paragraph separators, surrogates, private-use characters, noncharacters, what this
  Python's Unicode does not know, and letters and marks that are invisible by design (Hangul
  fillers, variation selectors, the blank Braille pattern) become U+FFFD.
* Spaces other than U+0020 become U+0020, except the ideographic space (U+3000).
* At most four combining marks may follow one another: the rest of the run becomes one U+FFFD.
  A mark at the very start gets a dotted circle to stand on instead of the neighbouring cell.

Markup is not looked at: a widget that reads markup must be given a text object, not a string.
"""

from __future__ import annotations

import unicodedata

MAX_MARKS = 4
REPLACEMENT = "\ufffd"
ELLIPSIS = "\u2026"

_DOTTED_CIRCLE = "\u25cc"
_IDEOGRAPHIC_SPACE = "\u3000"
_TAB_WIDTH = 4
_FIRST_MARK = "\u0300"  # no combining mark stands before this code point

# Printable by category, yet drawn as nothing (Default_Ignorable_Code_Point and U+2800).
_INVISIBLE = frozenset(
    (
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180B,
        0x180C,
        0x180D,
        0x180F,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    )
)


def clean(text: str, *, limit: int | None = None) -> str:
    """Return ``text`` as one line that is safe on a terminal and in a log.

    ``limit`` is in terminal cells. A wide character counts two and every other code point one
    (combining marks too), so neither cells nor characters ever exceed it; a text that is cut ends
    with an ellipsis. Cleaning a second time changes nothing.
    """
    if not (text.isascii() and text.isprintable()):
        text = _clean_slowly(text)
    if limit is None or (len(text) <= limit and text.isascii()):
        return text
    return _shorten(text, limit)


def clean_lines(text: str) -> str:
    """Like :func:`clean`, for texts of several lines, joined with ``\\n``.

    CR LF, CR, LF, NEL and the line and paragraph separators end a line; a tab becomes four spaces.
    All other controls are shown as by :func:`clean`.
    """
    for line_break in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        text = text.replace(line_break, "\n")
    text = text.replace("\t", " " * _TAB_WIDTH)
    return "\n".join(clean(line) for line in text.split("\n"))


def cells(text: str) -> int:
    """Upper bound of the terminal cells that a cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _clean_slowly(text: str) -> str:
    if text.isprintable() and max(text, default="") < _FIRST_MARK:
        return text
    out: list[str] = []
    marks = 0
    for character in text:
        shown = _shown(character)
        if shown is character and unicodedata.category(character)[0] == "M":
            marks += 1
            if marks == 1 and not out:
                out.append(_DOTTED_CIRCLE)
            if marks > MAX_MARKS:
                if marks == MAX_MARKS + 1:
                    out.append(REPLACEMENT)
                continue
        else:
            marks = 0
        out.append(shown)
    return "".join(out)


def _shown(character: str) -> str:
    """The character itself, or what stands for it."""
    if character.isprintable():
        return REPLACEMENT if ord(character) in _INVISIBLE else character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) == "Zs":
        return character if character == _IDEOGRAPHIC_SPACE else " "
    return REPLACEMENT


def _cells_of(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shorten(text: str, limit: int) -> str:
    if cells(text) <= limit:
        return text
    if limit <= 0:
        return ""
    room = limit - 1  # for the ellipsis
    end = 0
    for character in text:
        room -= _cells_of(character)
        if room < 0:
            break
        end += 1
    # A letter without all its marks would be another letter: drop it whole.
    while 0 < end < len(text) and unicodedata.category(text[end])[0] == "M":
        end -= 1
    return text[:end] + ELLIPSIS
