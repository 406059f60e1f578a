"""A strict sixel decoder: a colour that is only defined is not selected, and nothing is guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_STREAM = re.compile(r"\x1bP(?P<parameters>[0-9;]*)q(?P<body>[^\x1b]*)\x1b\\")
_TOKEN = re.compile(
    r'"(?P<raster>[0-9;]+)|#(?P<number>\d+)(?:;2;(?P<rgb>\d+;\d+;\d+))?'
    r"|!(?P<count>\d+)(?P<repeated>[?-~])|(?P<single>[?-~])|(?P<move>[$-])"
)


class SixelError(Exception):
    """The stream is not what a strict terminal draws rightly."""


@dataclass
class DecodedSixel:
    """``pixels`` is uint8 (height, width, 3); ``drawn`` says which of them were painted."""

    pixels: np.ndarray
    drawn: np.ndarray
    registers: int


class _Painter:
    def __init__(self) -> None:
        self.palette: dict[int, tuple[int, ...]] = {}
        self.selected: int | None = None
        self.pixels = np.zeros((0, 0, 3), np.uint8)
        self.drawn = np.zeros((0, 0), bool)
        self.x = self.y = 0

    def take(self, token: re.Match[str]) -> None:
        if token["raster"]:
            self.raster(token["raster"])
        elif token["rgb"]:
            self.define(int(token["number"]), token["rgb"])
        elif token["number"]:
            self.select(int(token["number"]))
        elif token["move"]:
            self.x, self.y = 0, self.y + (6 if token["move"] == "-" else 0)
        else:
            bits = ord(token["repeated"] or token["single"]) - 63
            self.paint(bits, int(token["count"] or 1))

    def raster(self, text: str) -> None:
        across, down, width, height = map(int, text.split(";"))
        if (across, down) != (1, 1) or self.pixels.size:
            raise SixelError("raster attributes are not 1:1, or come late")
        self.pixels = np.zeros((height, width, 3), np.uint8)
        self.drawn = np.zeros((height, width), bool)

    def define(self, number: int, text: str) -> None:
        percent = tuple(map(int, text.split(";")))
        if max(percent) > 100:
            raise SixelError("a colour is above 100 percent")
        self.palette[number] = tuple((p * 255 + 50) // 100 for p in percent)

    def select(self, number: int) -> None:
        if number not in self.palette:
            raise SixelError(f"colour {number} is selected but not defined")
        self.selected = number

    def paint(self, bits: int, count: int) -> None:
        if self.selected is None:
            raise SixelError("painted before a colour was selected")
        columns = slice(self.x, self.x + count)
        if count < 1 or columns.stop > self.pixels.shape[1]:
            raise SixelError(f"painted past the right edge at {self.x}, {self.y}")
        for row in (row for row in range(6) if bits >> row & 1):
            if self.y + row >= self.pixels.shape[0]:
                raise SixelError("painted below the bottom")
            self.pixels[self.y + row, columns] = self.palette[self.selected]
            self.drawn[self.y + row, columns] = True
        self.x += count


def decode(stream: str) -> DecodedSixel:
    """Draw one sixel string. Raises SixelError for what a strict terminal would draw wrongly."""
    match = _STREAM.fullmatch(stream)
    if not match:
        raise SixelError("not one sixel string")
    painter, body, at = _Painter(), match["body"], 0
    while at < len(body):
        token = _TOKEN.match(body, at)
        if not token:
            raise SixelError(f"unknown at {at}: {body[at : at + 20]!r}")
        painter.take(token)
        at = token.end()
    return DecodedSixel(painter.pixels, painter.drawn, len(painter.palette))
