"""The widget in a running app without a terminal: half blocks, words, newest wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

import numpy as np
import pytest
from rich.segment import Segment
from textual._compositor import LayoutUpdate
from textual.app import App, ComposeResult
from textual.color import Color
from textual.filter import LineFilter
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Static

from tests.ui.graphics.picture_app import frame_of
from tuipacs.domain.frame import Frame
from tuipacs.ui.graphics.choice import ColourDepth, GraphicsChoice, Protocol
from tuipacs.ui.graphics.encode import Encoded, EncodeRequest, encode, place
from tuipacs.ui.graphics.segments import is_image_segment
from tuipacs.ui.widgets.picture import Picture

HALF = GraphicsChoice(protocol=Protocol.HALF, reason="test", cell_width=10, cell_height=20)
KITTY = GraphicsChoice(protocol=Protocol.KITTY, reason="test", cell_width=10, cell_height=20)


class Painted(LineFilter):
    """A wall that makes all text blue question marks, except pictures."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            s if is_image_segment(s) else Segment("?" * s.cell_length, s.style) for s in segments
        ]


class PictureApp(App[None]):
    CSS = "Picture { width: 100%; height: 100%; }"

    def __init__(
        self,
        choice: GraphicsChoice,
        *,
        wall: bool = False,
        encoder: Callable[[EncodeRequest], Encoded] = encode,
    ) -> None:
        super().__init__()
        self.picture = Picture(choice, empty_text="nothing\x1b here", encoder=encoder)
        self.seen: list[Frame] = []
        if wall:
            self._filters.append(Painted())

    def compose(self) -> ComposeResult:
        yield self.picture

    def on_picture_shown(self, message: Picture.Shown) -> None:
        self.seen.append(message.frame)


async def settle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def screen_strips(app: App[None]) -> list[Strip]:
    """The whole screen as it would be written, with what shines through from screens below."""
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    assert isinstance(update, LayoutUpdate)
    return [Strip.join(strips) for strips in update.strips]


def screen_text(app: App[None]) -> list[str]:
    return [strip.text for strip in screen_strips(app)]


def screen_pixels(app: App[None], rows: int) -> np.ndarray:
    """The colours of the first ``rows`` lines, two pixels a cell."""
    lines = []
    for strip in screen_strips(app)[:rows]:
        upper, lower = [], []
        for segment in strip:
            style = segment.style
            assert style is not None
            assert style.bgcolor is not None
            back = tuple(style.bgcolor.get_truecolor())
            for character in segment.text:
                assert character in "▀ "
                front = style.color if character == "▀" else style.bgcolor
                assert front is not None
                upper.append(tuple(front.get_truecolor()))
                lower.append(back)
        lines += [upper, lower]
    return np.array(lines)


def random_frame(rows: int, columns: int, seed: int = 1, aspect: float = 1.0) -> Frame:
    generator = np.random.default_rng(seed)
    return frame_of(generator.integers(1, 256, (rows, columns), dtype=np.uint8), aspect)


@pytest.mark.parametrize("wall", [False, True])
async def test_half_blocks_are_the_pixels_through_every_filter(wall: bool) -> None:
    frame = random_frame(48, 80)
    app = PictureApp(HALF, wall=wall)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(frame)
        await settle(pilot)
        expected = np.frombuffer(frame.pixels, np.uint8).reshape(48, 80)
        assert (screen_pixels(app, 24) == expected[..., None]).all()


@pytest.mark.parametrize(
    ("aspect", "cell", "box"),
    [
        (1.0, (10, 20), (48, 24)),  # a square on 10 x 20 cells: twice as many columns as rows
        (1.0, (8, 20), (60, 24)),  # narrower cells: more of them
        (2.0, (10, 20), (24, 24)),  # pixels twice as tall as wide
        (0.5, (10, 20), (80, 20)),
    ],
)
async def test_the_physical_aspect_is_right(
    aspect: float, cell: tuple[int, int], box: tuple[int, int]
) -> None:
    choice = GraphicsChoice(
        protocol=Protocol.HALF, reason="", cell_width=cell[0], cell_height=cell[1]
    )
    app = PictureApp(choice)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64, aspect=aspect))
        await settle(pilot)
        painted = (screen_pixels(app, 24) != 0).any(-1)
        columns = np.flatnonzero(painted.any(0))
        rows = np.flatnonzero(painted.any(1))
        assert len(columns) == np.ptp(columns) + 1 == box[0]
        assert len(rows) == np.ptp(rows) + 1 == box[1] * 2
        assert abs(columns[0] - (79 - columns[-1])) <= 1  # centred


async def test_the_caption_is_clean_and_belongs_to_the_frame() -> None:
    app = PictureApp(HALF)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "nothing␛ here" in "\n".join(screen_text(app))
        app.picture.set_frame(random_frame(46, 80), "slice 1\x1b]0;x\x07[b]")
        await settle(pilot)
        assert screen_text(app)[-1].strip() == "slice 1␛]0;x␇[b]"
        app.picture.wipe()
        await settle(pilot)
        assert "slice" not in "\n".join(screen_text(app))


async def test_a_burst_ends_with_the_newest_frame_and_its_caption() -> None:
    frames = [random_frame(46, 80, seed) for seed in range(30)]
    app = PictureApp(HALF)
    async with app.run_test(size=(80, 24)) as pilot:
        for number, frame in enumerate(frames):
            app.picture.set_frame(frame, f"slice {number}")
        await settle(pilot)
        assert app.picture.frame is frames[-1]
        assert len(app.seen) < 10
        assert screen_text(app)[-1].strip() == "slice 29"
        expected = np.frombuffer(frames[-1].pixels, np.uint8).reshape(46, 80)
        assert (screen_pixels(app, 23) == expected[..., None]).all()


async def test_a_wiped_picture_does_not_come_back_from_the_encoder() -> None:
    started, wiped = Event(), Event()

    def slow(request: EncodeRequest) -> Encoded:
        started.set()
        assert wiped.wait(30)
        return encode(request)

    app = PictureApp(HALF, encoder=slow)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        assert await asyncio.to_thread(started.wait, 30)
        app.picture.wipe()
        wiped.set()
        await settle(pilot)
        assert app.picture.frame is None
        assert app.seen == []
        assert "▀" not in "\n".join(screen_text(app))


async def test_a_resize_fits_the_picture_again() -> None:
    app = PictureApp(HALF)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        await settle(pilot)
        await pilot.resize_terminal(40, 12)
        await settle(pilot)
        assert [line.count("▀") for line in screen_text(app)] == [24] * 12
        await pilot.resize_terminal(40, 1)
        await settle(pilot)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert [line.count("▀") for line in screen_text(app)] == [48] * 24


async def test_a_frame_of_the_wrong_length_shows_words_instead() -> None:
    app = PictureApp(HALF)
    broken = Frame(rows=10, columns=10, samples=1, pixels=b"x", frame_number=1, number_of_frames=1)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(46, 80))
        await settle(pilot)
        app.picture.set_frame(broken)
        await settle(pilot)
        text = "\n".join(screen_text(app))
        assert "do not fill" in text
        assert "▀" not in text
        good = random_frame(46, 80, 2)
        app.picture.set_frame(good)
        await settle(pilot)
        assert app.picture.frame is good


async def test_off_says_the_size_and_why() -> None:
    app = PictureApp(GraphicsChoice(protocol=Protocol.OFF, reason="NO_COLOR is set"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(30, 40), "slice 1")
        await settle(pilot)
        text = "\n".join(screen_text(app))
        for words in ("40 x 30", "NO_COLOR is set", "slice 1"):
            assert words in text


async def test_kitty_cells_vanish_under_a_dialog_and_return() -> None:
    """Dimming would change the colour, which is the picture's number."""

    class Dialog(ModalScreen[None]):
        def compose(self) -> ComposeResult:
            yield Static("dialog")

    app = PictureApp(KITTY)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        await settle(pilot)
        before = screen_text(app)
        assert sum(line.count("\U0010eeee") for line in before) == 48 * 24
        app.push_screen(Dialog())
        await settle(pilot)
        assert "\U0010eeee" not in "".join(screen_text(app))
        app.pop_screen()
        await settle(pilot)
        assert screen_text(app) == before


async def test_kitty_cells_pass_a_wall_that_cleans_text() -> None:
    app = PictureApp(KITTY, wall=True)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        await settle(pilot)
        assert sum(line.count("\U0010eeee") for line in screen_text(app)) == 48 * 24


async def test_half_blocks_stay_under_a_dialog() -> None:
    app = PictureApp(HALF)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        await settle(pilot)
        app.push_screen(ModalScreen())
        await settle(pilot)
        assert sum(line.count("▀") for line in screen_text(app)) == 48 * 24


async def test_hiding_keeps_the_frame() -> None:
    app = PictureApp(HALF)
    async with app.run_test(size=(80, 24)) as pilot:
        app.picture.set_frame(random_frame(64, 64))
        await settle(pilot)
        app.picture.hide_image()
        await settle(pilot)
        assert "▀" not in "".join(screen_text(app))
        app.picture.show_image()
        await settle(pilot)
        assert "▀" in "".join(screen_text(app))


def test_text_cannot_pass_for_a_picture() -> None:
    assert not is_image_segment(Segment("\U0010eeee▀", control=[]))


def test_256_colours_are_used_where_there_are_no_more() -> None:
    choice = GraphicsChoice(protocol=Protocol.HALF, reason="", colour_depth=ColourDepth.INDEXED)
    frame = random_frame(10, 10)
    placement = place(frame, 10, 10, choice)
    assert placement is not None
    request = EncodeRequest(frame=frame, serial=1, placement=placement, choice=choice)
    style = encode(request).rows[0][0].style
    assert style is not None
    assert style.color is not None
    assert style.color.number is not None
