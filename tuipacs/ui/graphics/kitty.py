"""Kitty graphics with Unicode placeholders: the picture is a layer under ordinary characters.

https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders. The foreground colour of a
cell is the picture's number, so these cells must never be recoloured.
"""

from __future__ import annotations

import base64
import io
import itertools
import os
from collections.abc import Iterator

from PIL import Image
from rich.color import Color
from rich.style import Style

from tuipacs.ui.graphics.scale import Pixels

PLACEHOLDER = "\U0010eeee"
_CHUNK = 4096  # the protocol's limit for one escape sequence

# The protocol numbers rows and columns by 297 combining marks: (first, how many in a row).
# fmt: off
_MARK_RUNS = (
    (0x305, 1), (0x30D, 2), (0x310, 1), (0x312, 1), (0x33D, 3), (0x346, 1), (0x34A, 3), (0x350, 3),
    (0x357, 1), (0x35B, 1), (0x363, 13), (0x483, 5), (0x592, 4), (0x597, 3), (0x59C, 6), (0x5A8, 2),
    (0x5AB, 2), (0x5AF, 1), (0x5C4, 1), (0x610, 8), (0x657, 5), (0x65D, 2), (0x6D6, 7), (0x6DF, 4),
    (0x6E4, 1), (0x6E7, 2), (0x6EB, 2), (0x730, 1), (0x732, 2), (0x735, 2), (0x73A, 1), (0x73D, 1),
    (0x73F, 3), (0x743, 1), (0x745, 1), (0x747, 1), (0x749, 2), (0x7EB, 7), (0x7F3, 1), (0x816, 4),
    (0x81B, 9), (0x825, 3), (0x829, 5), (0x951, 1), (0x953, 2), (0xF82, 2), (0xF86, 2), (0x135D, 3),
    (0x17DD, 1), (0x193A, 1), (0x1A17, 1), (0x1A75, 8), (0x1B6B, 1), (0x1B6D, 7), (0x1CD0, 3),
    (0x1CDA, 2), (0x1CE0, 1), (0x1DC0, 2), (0x1DC3, 7), (0x1DCB, 2), (0x1DD1, 22), (0x1DFE, 1),
    (0x20D0, 2), (0x20D4, 4), (0x20DB, 2), (0x20E1, 1), (0x20E7, 1), (0x20E9, 1), (0x20F0, 1),
    (0x2CEF, 3), (0x2DE0, 32), (0xA66F, 1), (0xA67C, 2), (0xA6F0, 2), (0xA8E0, 18), (0xAAB0, 1),
    (0xAAB2, 2), (0xAAB7, 2), (0xAABE, 2), (0xAAC1, 1), (0xFE20, 7), (0x10A0F, 1), (0x10A38, 1),
    (0x1D185, 5), (0x1D1AA, 4), (0x1D242, 3),
)
# fmt: on
MARKS = tuple(chr(first + n) for first, count in _MARK_RUNS for n in range(count))
LARGEST_BOX = len(MARKS)  # cells in either direction

# Numbers start anywhere, so that two programs in one terminal hardly ever share one.
_numbers = itertools.count(int.from_bytes(os.urandom(3), "big"))


def new_image_id() -> int:
    """A number for one widget's picture: 24 bits, because that is what a colour carries."""
    return next(_numbers) % 0xFFFFFF + 1


def transmit(pixels: Pixels, image_id: int, columns: int, rows: int) -> str:
    """Bytes that store ``pixels`` under ``image_id``, replacing what was there, and place them.

    The placement is virtual: it shows where cells of :func:`placeholder_rows` are.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    payload = base64.standard_b64encode(buffer.getvalue()).decode("ascii")
    head = f"a=T,U=1,q=2,f=100,i={image_id},c={columns},r={rows},"
    return "".join(_chunks(head, payload))


def delete(image_id: int) -> str:
    """Bytes that remove the picture and free its memory in the terminal."""
    return f"\x1b_Ga=d,d=I,q=2,i={image_id};\x1b\\"


def placeholder_rows(image_id: int, columns: int, rows: int) -> list[tuple[str, Style]]:
    """One text and its style for each row of cells; every cell names its row and column."""
    style = Style(
        color=Color.from_rgb(image_id >> 16, image_id >> 8 & 0xFF, image_id & 0xFF),
        bgcolor=Color.from_rgb(0, 0, 0),
    )
    return [
        ("".join(PLACEHOLDER + MARKS[row] + MARKS[column] for column in range(columns)), style)
        for row in range(rows)
    ]


def _chunks(head: str, payload: str) -> Iterator[str]:
    for start in range(0, len(payload), _CHUNK):
        more = int(start + _CHUNK < len(payload))
        yield f"\x1b_G{head}m={more};{payload[start : start + _CHUNK]}\x1b\\"
        head = ""
