"""Pieces of a picture among the text of the screen, told apart by their type.

Text from outside becomes ordinary segments whatever it contains, so nothing outside can make one
of these: a filter that cleans text may let them pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip


class ImageSegment(Segment):
    """Cells that are part of a picture: half blocks or kitty placeholders."""

    __slots__ = ()


def is_image_segment(segment: Segment) -> bool:
    """Whether a segment was made here; line filters must neither clean nor recolour it."""
    return type(segment) is ImageSegment


class WatchedStrip(Strip):
    """A line that tells when its cells are written to the terminal.

    Text wipes the sixels under it, so whoever writes these cells must draw the picture again.
    Textual 8.2.8 writes strips by ``render`` after ``divide`` and ``crop``.
    """

    __slots__ = ["_on_written"]

    def __init__(
        self,
        segments: Iterable[Segment],
        cell_length: int | None,
        on_written: Callable[[], None],
    ) -> None:
        super().__init__(segments, cell_length)
        self._on_written = on_written

    def _watch(self, strip: Strip) -> Strip:
        return WatchedStrip(strip._segments, strip.cell_length, self._on_written)

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """As in Strip; the parts are watched too."""
        return [self._watch(strip) for strip in super().divide(cuts)]

    def crop(self, start: int, end: int | None = None) -> Strip:
        """As in Strip; what is left is watched too."""
        return self._watch(super().crop(start, end))

    def render(self, console: Console) -> str:
        """As in Strip."""
        self._on_written()
        return super().render(console)

    def __iter__(self) -> Iterator[Segment]:
        self._on_written()
        return super().__iter__()
