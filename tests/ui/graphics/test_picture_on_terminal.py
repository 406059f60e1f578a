"""The whole way on a played terminal: probe, keys, what is drawn where, and what is left behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.ui.graphics import terminal as brands
from tests.ui.graphics.sixel_decoder import decode
from tests.ui.graphics.terminal import PictureProgram, picture_program, terminal
from tests.ui.graphics.test_kitty import received

# 60 x 22 cells of 10 x 20 pixels: left of the picture are 20 columns, above it one row.
SHAPE = (440, 600)
SIXEL = re.compile(rb"\x1b7\x1b\[(\d+);(\d+)H(\x1bP0;1;0q[^\x1b]*\x1b\\)\x1b8")
KITTY = re.compile(rb"(?:\x1b_G[^\x1b]*\x1b\\)+")


def pattern(seed: int) -> np.ndarray:
    """A frame of the very size of the picture, so that nothing is scaled."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (x // 4 * seed + y // 3 + 40 * seed).astype(np.uint8)


def sixels(program: PictureProgram) -> list[tuple[int, int, str]]:
    found = SIXEL.findall(program.terminal.output)
    return [(int(row), int(column), data.decode()) for row, column, data in found]


def wait_for_sixels(program: PictureProgram, count: int) -> str:
    program.terminal.wait_for(lambda _: len(sixels(program)) >= count, f"sixel number {count}")
    return sixels(program)[count - 1][2]


def test_sixels_in_place_around_a_toast_and_again_after_a_dialog(tmp_path: Path) -> None:
    frames = [pattern(1), pattern(2)]
    with (
        terminal(brands.XTERM_VT340) as played,
        picture_program(played, tmp_path, frames) as program,
    ):
        first = decode(wait_for_sixels(program, 1))
        assert sixels(program)[0][:2] == (2, 21)
        assert first.drawn.all()
        assert np.abs(first.pixels[..., 0].astype(int) - frames[0]).max() <= 2
        played.settle()
        before = len(sixels(program))

        # A clock elsewhere on the screen must not draw the picture again.
        played.type(b"c")
        program.wait_for_event("key")
        played.settle()
        assert len(sixels(program)) == before

        # Under a toast the cells are left out, above it all is there.
        played.type(b"t")
        program.wait_for_event("key", 2)
        played.settle()
        seen = len(sixels(program))
        played.type(b"n")
        covered = decode(wait_for_sixels(program, seen + 1))
        assert not covered.drawn.all()
        assert covered.drawn[: SHAPE[0] // 2].all()
        shown = covered.pixels[..., 0].astype(int)
        assert np.abs(shown - frames[1])[covered.drawn].max() <= 2

        # The toast goes: the whole picture comes back.
        played.settle()
        seen = len(sixels(program))
        played.type(b"r")
        assert decode(wait_for_sixels(program, seen + 1)).drawn.all()

        # Nothing under a dialog, everything after it.
        played.settle()
        seen = len(sixels(program))
        played.type(b"m")
        program.wait_for_event("key", 5)
        played.settle()
        assert len(sixels(program)) == seen
        played.type(b"\x1b")
        again = decode(wait_for_sixels(program, seen + 1))
        assert np.abs(again.pixels[..., 0].astype(int) - frames[1]).max() <= 2

        # A lock wipes: from now on no picture, whatever is repainted.
        played.settle()
        seen = len(sixels(program))
        played.type(b"wc")
        program.wait_for_event("key", 8)
        played.settle()
        assert len(sixels(program)) == seen

        played.type(b"q")
        assert program.process.wait(10) == 0


def test_kitty_reuses_its_number_and_deletes_it_at_the_end(tmp_path: Path) -> None:
    frames = [pattern(1), pattern(2)]
    with (
        terminal(brands.KITTY) as played,
        picture_program(played, tmp_path, frames) as program,
    ):
        program.wait_for_event("shown")
        played.settle()
        cells_before = played.output.count("\U0010eeee".encode())
        played.type(b"n")
        program.wait_for_event("shown", 2)
        played.settle()
        # The first command is the probe's question.
        sent = [m[0].decode() for m in KITTY.finditer(played.output)][1:]
        images = [received(data) for data in sent]
        assert [(keys["c"], keys["r"]) for keys, _ in images] == [("60", "22")] * 2
        assert all((image == frame).all() for (_, image), frame in zip(images, frames, strict=True))
        assert images[0][0]["i"] == images[1][0]["i"]
        number = int(images[0][0]["i"])
        colour = b"\x1b[38;2;%d;%d;%d;48;2;0;0;0m" % tuple(number.to_bytes(3, "big"))
        assert played.output.count(colour) % 22 == 0
        # The second frame wrote no cell again.
        assert played.output.count("\U0010eeee".encode()) == cells_before >= 60 * 22

        played.type(b"q")
        assert program.process.wait(10) == 0
        played.settle(0.05)
        assert b"\x1b_Ga=d,d=I,q=2,i=%d;" % number in played.output


@pytest.mark.parametrize("brand", [brands.KITTY, brands.XTERM_VT340])
def test_keys_typed_while_probing_reach_the_app_and_answers_do_not(
    brand: brands.Brand, tmp_path: Path
) -> None:
    with terminal(brand) as played:
        played.typed_before_answer = b"x\x1b[A"
        with picture_program(played, tmp_path, [pattern(1)]) as program:
            program.wait_for_event("shown")
            played.type(b"y")
            program.wait_for_event("key", 3)
            played.settle()
            assert [event["key"] for event in program.events("key")] == ["x", "up", "y"]


def test_a_resize_encodes_for_the_new_size(tmp_path: Path) -> None:
    with (
        terminal(brands.FOOT) as played,
        picture_program(played, tmp_path, [pattern(1)]) as program,
    ):
        wait_for_sixels(program, 1)
        played.settle()
        seen = len(sixels(program))
        played.resize(12, 50)
        program.process.send_signal(28)  # SIGWINCH: the pty is not its controlling terminal
        decoded = decode(wait_for_sixels(program, seen + 1))
        played.settle()
        row, column, data = sixels(program)[-1]
        decoded = decode(data)
        assert decoded.drawn.shape[0] <= 10 * 20
        assert decoded.drawn.shape[1] <= 30 * 10
        assert (row, column) >= (2, 21)


def test_sixels_never_touch_the_last_line_which_would_scroll(tmp_path: Path) -> None:
    with (
        terminal(brands.XTERM_VT340) as played,
        picture_program(played, tmp_path, [pattern(1)], "--no-caption") as program,
    ):
        data = decode(wait_for_sixels(program, 1))
        row = sixels(program)[0][0]
        assert (row - 1) * 20 + data.drawn.shape[0] <= 23 * 20
        assert data.drawn.shape[0] == 22 * 20
