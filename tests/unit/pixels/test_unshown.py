"""What belongs to a picture and is not drawn is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from tests.bundled import FOLDER

from .images import image, render_frame, write


def notes(picture: Dataset, tmp_path: Path) -> tuple[str, ...]:
    return render_frame(write(picture, tmp_path / "a.dcm")).notes


@pytest.mark.parametrize(
    ("groups", "words"),
    [((0x6000,), "an overlay plane"), ((0x6000, 0x601E), "2 overlay planes")],
)
def test_overlay_planes(groups: tuple[int, ...], words: str, tmp_path: Path) -> None:
    """PS3.3 C.9.2."""
    picture = image([[0, 100]])
    for group in groups:
        picture.add_new((group, 0x0010), "US", 1)
    assert notes(picture, tmp_path) == (f"the object has {words}, not shown",)


def test_an_overlay_of_another_maker() -> None:
    found = render_frame(FOLDER / "examples_overlay.dcm")
    assert "the object has an overlay plane, not shown" in found.notes


@pytest.mark.parametrize("in_group", [False, True])
def test_a_display_shutter(in_group: bool, tmp_path: Path) -> None:
    """PS3.3 C.7.6.11, and C.7.6.16.2.16 for frames."""
    picture = image([[0, 100]])
    place = picture
    if in_group:
        place, group = Dataset(), Dataset()
        group.FrameDisplayShutterSequence = [place]
        picture.SharedFunctionalGroupsSequence = [group]
    place.ShutterShape = "CIRCULAR"
    assert notes(picture, tmp_path) == ("the object has a display shutter, not applied",)


def test_a_supplemental_palette(tmp_path: Path) -> None:
    """PS3.3 C.7.6.19: stored values above a limit are meant to be coloured."""
    picture = image([[0, 100]])
    for colour in ("Red", "Green", "Blue"):
        setattr(picture, f"{colour}PaletteColorLookupTableDescriptor", [1, 100, 16])
    assert notes(picture, tmp_path) == (
        "the supplemental palette of the object is not applied: all is grey",
    )


def test_a_plain_picture_leaves_nothing_out(tmp_path: Path) -> None:
    assert notes(image([[0, 100]]), tmp_path) == ()
