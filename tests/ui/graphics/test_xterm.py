"""A real xterm on a virtual display: the pixels on the screen against the frame.

Run with ``pytest -m long tests/ui/graphics/test_xterm.py``; ``--basetemp DIR`` keeps the pictures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.ui.graphics.terminal import read_events

PROGRAMS = ("xterm", "Xvfb", "import", "xdotool")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


XTERM = ["xterm", "-ti", "vt340", "-xrm", "XTerm*numColorRegisters: 256", "-geometry"]
XTERM += ["100x40+0+0", "+sb", "-b", "0", "-bw", "0"]
# X core fonts often have no half blocks.
XTERM += ["-fa", "DejaVu Sans Mono", "-fs", "10"]
XVFB = ["Xvfb", "-screen", "0", "1000x900x24", "-nolisten", "tcp", "-displayfd"]


class XTerm:
    """``picture_app.py`` in an xterm without borders in the corner of a display of its own."""

    def __init__(
        self, display: str, folder: Path, frames: list[np.ndarray], *arguments: str
    ) -> None:
        self.folder, self.log = folder, folder / "log.jsonl"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DISPLAY": display,
            "LC_ALL": "C.UTF-8",
        }
        np.savez(folder / "frames.npz", *frames)
        program = [sys.executable, Path(__file__).with_name("picture_app.py"), *arguments]
        program += ["--log", self.log, "--frames", folder / "frames.npz"]
        self.process = subprocess.Popen([*XTERM, "-e", *program], env=self.environment)

    def wait_for(self, kind: str, count: int = 1) -> dict[str, object]:
        deadline = time.monotonic() + 30
        while len(found := read_events(self.log, kind)) < count:
            assert time.monotonic() < deadline, f"xterm: no event {kind}"
            time.sleep(0.05)
        return found[count - 1]

    def press(self, *keys: str) -> None:
        for key in keys:
            subprocess.run(["xdotool", "key", key], env=self.environment, check=True)
            time.sleep(0.4)

    def screenshot(self, name: str) -> np.ndarray:
        """The whole display once it has stopped changing."""
        path, before = self.folder / name, b""
        for _ in range(40):
            subprocess.run(["import", "-window", "root", path], env=self.environment, check=True)
            with Image.open(path) as image:
                now = np.asarray(image.convert("RGB"))
            if now.tobytes() == before:
                return now
            before = now.tobytes()
            time.sleep(0.3)
        raise AssertionError("the screen never came to rest")


@pytest.fixture
def display() -> Iterator[str]:
    number_read, number_write = os.pipe()
    server = subprocess.Popen(
        [*XVFB, str(number_write)], pass_fds=[number_write], stderr=subprocess.DEVNULL
    )
    os.close(number_write)
    try:
        with os.fdopen(number_read, "rb") as stream:
            yield f":{stream.readline().decode().strip()}"
    finally:
        server.terminate()
        server.wait(10)


def picture_on(screen: np.ndarray, shown: dict[str, object], cell: list[int]) -> np.ndarray:
    column, row, columns, rows = shown["box"]  # type: ignore[misc]
    y, x = row * cell[1], column * cell[0]
    return screen[y : y + rows * cell[1], x : x + columns * cell[0]].astype(int)


def frames_for(height: int, width: int) -> list[np.ndarray]:
    """A ramp over a pattern, and its negative, of exactly the picture's size."""
    y, x = np.mgrid[:height, :width]
    pixels = ((x // 3) * (y // 7) % 256).astype(np.uint8)
    pixels[:60] = np.linspace(0, 255, width)[None].astype(np.uint8)
    return [pixels, 255 - pixels]


# DejaVu Sans Mono 10 at 96 dpi; the picture has 80 x 38 cells.
CELL = (8, 17)
SIZE = (38 * CELL[1], 80 * CELL[0])


def test_xterm_draws_the_sixels_we_mean(display: str, tmp_path: Path) -> None:
    frames = frames_for(*SIZE)
    xterm = XTerm(display, tmp_path, frames)
    try:
        cell = xterm.wait_for("probe")["cell"]
        shown = xterm.wait_for("shown")
        assert xterm.wait_for("probe")["protocol"] == "sixel"
        first = picture_on(xterm.screenshot("sixel.png"), shown, cell)
        assert np.abs(first - frames[0][..., None]).max() <= 2

        xterm.press("t", "n")
        xterm.wait_for("shown", 2)
        toast = picture_on(xterm.screenshot("sixel-toast.png"), shown, cell)
        right = np.abs(toast - frames[1][..., None]).max(-1) <= 2
        assert right[: SIZE[0] * 3 // 4].all()
        assert not right.all()

        xterm.press("r", "m")
        dialog = picture_on(xterm.screenshot("sixel-dialog.png"), shown, cell)
        assert (dialog.max(-1) <= 20).mean() > 0.9

        xterm.press("Escape")
        after = picture_on(xterm.screenshot("sixel-after.png"), shown, cell)
        assert np.abs(after - frames[1][..., None]).max() <= 2

        xterm.press("w")
        wiped = picture_on(xterm.screenshot("sixel-wiped.png"), shown, cell)
        assert wiped.max() == 0
    finally:
        xterm.process.terminate()
        xterm.process.wait(10)


def test_xterm_draws_half_blocks_in_true_colour(display: str, tmp_path: Path) -> None:
    frames = frames_for(76, 80)  # with the aspect of a half cell nothing is scaled
    aspect = str(CELL[1] / 2 / CELL[0])
    xterm = XTerm(display, tmp_path, frames, "--graphics", "half", "--aspect", aspect)
    try:
        cell = xterm.wait_for("probe")["cell"]
        if tuple(cell) != CELL:
            pytest.skip(f"the font has cells of {cell}, not {CELL}")
        screen = picture_on(xterm.screenshot("half.png"), xterm.wait_for("shown"), cell)
        cells = screen.reshape(38, CELL[1], 80, CELL[0], 3)
        drawn = cells[:, :, :, CELL[0] // 2][:, [2, CELL[1] - 3]].reshape(76, 80, 3)
        assert (drawn == frames[0][..., None]).all()
    finally:
        xterm.process.terminate()
        xterm.process.wait(10)


def test_xterm_does_not_scroll_under_a_picture_that_reaches_the_bottom(
    display: str, tmp_path: Path
) -> None:
    xterm = XTerm(display, tmp_path, frames_for(*SIZE), "--no-caption")
    try:
        xterm.wait_for("shown")
        before = xterm.screenshot("bottom.png")[: CELL[1]]
        assert before.max() > 128  # the word at the top
        xterm.press("n", "n")
        xterm.wait_for("shown", 3)
        assert (xterm.screenshot("bottom-later.png")[: CELL[1]] == before).all()
    finally:
        xterm.process.terminate()
        xterm.process.wait(10)
