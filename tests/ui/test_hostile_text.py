"""What peers put into names is shown and never obeyed."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from tests.ui.driving import at_work, program, screen_segments, screen_text, until
from tests.ui.fake_archive import HOSTILE_NAMES, FakeArchive, patient
from tuipacs.ui.graphics.segments import ImageSegment
from tuipacs.ui.safety import TextWall

SIZES = [(80, 24), (120, 36), (160, 45)]


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_show_literally_on_every_screen(size: tuple[int, int]) -> None:
    """Markup stays text, escape sequences become visible marks, nothing acts."""
    archive = FakeArchive(0)
    archive.patients = [
        patient(key, patient_name=name, patient_id=name[:12])
        for key, name in enumerate(HOSTILE_NAMES)
    ]
    async with at_work(archive, size=size) as (app, pilot):
        text = screen_text(app)
        for name in HOSTILE_NAMES[:3]:
            assert name.partition("=")[0][:16] in text
        assert "ESC␛[31m" in text
        for keys in (["j", "enter"], ["p"], ["i"], ["escape"], ["escape"], ["g", "i"], ["space"]):
            await pilot.press(*keys)
            await pilot.pause(0.05)
            for segment in screen_segments(app):
                assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in segment.text)
                assert "\u202e" not in segment.text
        assert app.is_running
        assert "pwned" not in app.title


async def test_hostile_words_in_messages_and_borders_are_no_markup() -> None:
    archive = FakeArchive(3)
    async with at_work(archive) as (app, pilot):
        from tuipacs.errors import ConflictError

        app.report(ConflictError("[/x] [@click=app.exit]go[/]"))
        await until(pilot, lambda: "[/x] [@click=app.exit]go[/]" in screen_text(app))


def test_the_wall_replaces_controls_and_keeps_the_width() -> None:
    style = Style(bold=True)
    (shown,) = TextWall().apply([Segment("a\x1b[0mb\x9b\u202ec", style)], Color(0, 0, 0))
    assert shown.style == style
    assert "\x1b" not in shown.text
    assert "\x9b" not in shown.text
    assert "\u202e" not in shown.text
    assert shown.text.startswith("a")


def test_the_wall_lets_pictures_and_clean_text_pass_untouched() -> None:
    segments = [Segment("MÜLLER 山田"), ImageSegment("\U0010eeee\u0305\u030d")]
    assert TextWall().apply(segments, Color(0, 0, 0)) is segments


def test_the_application_has_the_wall() -> None:
    app = program(FakeArchive(0))
    assert any(isinstance(line_filter, TextWall) for line_filter in app.get_line_filters())
