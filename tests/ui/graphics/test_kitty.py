"""Kitty's bytes: what is sent is the picture, and each cell names its place."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.segment import Segment
from textual.strip import Strip

from tuipacs.ui.graphics import kitty

COMMAND = re.compile(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\")


def received(data: str) -> tuple[dict[str, str], np.ndarray]:
    """Put the chunks together as the terminal does."""
    assert COMMAND.sub("", data) == ""
    chunks = COMMAND.findall(data)
    keys = dict(pair.split("=") for pair in chunks[0][0].split(","))
    more = [dict(pair.split("=") for pair in head.split(","))["m"] for head, _ in chunks]
    assert more == ["1"] * (len(chunks) - 1) + ["0"]
    assert all(len(payload) <= 4096 for _, payload in chunks)
    payload = base64.b64decode("".join(payload for _, payload in chunks), validate=True)
    return keys, np.asarray(Image.open(io.BytesIO(payload)))


@pytest.mark.parametrize("shape", [(20, 10), (440, 600), (440, 600, 3)])
def test_the_terminal_receives_the_pixels_and_where_to_put_them(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    keys, image = received(kitty.transmit(pixels, 77, 60, 22))
    assert (image == pixels).all()
    wanted = {"a": "T", "U": "1", "q": "2", "f": "100", "i": "77", "c": "60", "r": "22"}
    assert wanted.items() <= keys.items()


def test_each_cell_names_picture_row_and_column() -> None:
    rows = kitty.placeholder_rows(0x123456, 297, 3)
    for number, (text, style) in enumerate(rows):
        assert tuple(style.color.get_truecolor()) == (0x12, 0x34, 0x56)
        cells = [text[at : at + 3] for at in range(0, len(text), 3)]
        assert [c[0] for c in cells] == ["\U0010eeee"] * 297
        assert {c[1] for c in cells} == {kitty.MARKS[number]}
        assert [c[2] for c in cells] == list(kitty.MARKS)


def test_a_line_of_placeholders_can_be_cut_at_any_cell() -> None:
    """The compositor divides lines wherever another widget begins."""
    text, style = kitty.placeholder_rows(1, 297, 1)[0]
    strip = Strip([Segment(text, style)], 297)
    left, right = strip.divide([130, 297])
    assert (left.text, right.text) == (text[: 130 * 3], text[130 * 3 :])


def test_the_marks_are_those_of_the_library() -> None:
    """In a process of its own, without a terminal: importing it would ask the terminal."""
    code = (
        "import json; from textual_image.renderable.tgp import _NUMBER_TO_DIACRITIC as marks;"
        "print(json.dumps(marks))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert [ord(mark) for mark in kitty.MARKS] == json.loads(process.stdout)


def test_only_the_one_picture_is_deleted_and_its_memory_freed() -> None:
    keys = dict(pair.split("=") for pair in COMMAND.findall(kitty.delete(9))[0][0].split(","))
    assert keys == {"a": "d", "d": "I", "q": "2", "i": "9"}


def test_numbers_differ_and_fit_a_colour() -> None:
    numbers = [kitty.new_image_id() for _ in range(1000)]
    assert len(set(numbers)) == 1000
    assert all(0 < number <= 0xFFFFFF for number in numbers)
