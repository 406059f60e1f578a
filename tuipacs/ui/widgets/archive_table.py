"""The archive as a tree or a flat list of any length; only what is near the viewport is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from textual.message import Message

from tuipacs.domain.level import Level
from tuipacs.domain.records import StudyRecord
from tuipacs.ui.outline import BELOW, Line, LineKind, Outline, Record, RowKey
from tuipacs.ui.widgets import archive_cells
from tuipacs.ui.widgets.line_view import Cell, Column, LineView, Part

GLOW_SECONDS = 3.0
OVERSCAN = 30  # lines beyond the viewport that are loaded ahead
_NOWHERE: Mapping[RowKey, int | None] = MappingProxyType({})


class ArchiveTable(LineView):
    """Draws an `Outline`. Loading is another's task: `Wanted` says that lines are missing."""

    class Wanted(Message):
        """Lines near the viewport are not loaded."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.outline = Outline()
        self.marks: dict[RowKey, Record] = {}
        self._glowing: dict[RowKey, float] = {}
        self._empty = ""

    # --- what it shows

    @property
    def flat(self) -> bool:
        """True when the top level is studies."""
        return self.outline.top is Level.STUDY

    @property
    def line_count(self) -> int:
        return self.outline.line_count

    def columns(self, width: int) -> Sequence[Column]:
        return archive_cells.columns(width, flat=self.flat)

    def empty_text(self) -> str:
        return self._empty

    def say_when_empty(self, text: str) -> None:
        """What stands there when nothing matches."""
        self._empty = text
        self.redraw()

    def parts(self, line: int) -> Sequence[Part]:
        found = self.outline.at(line)
        others = len(self._widths(self.line_width)[0]) - 1
        gutter = Cell("✓ " if found.key in self.marks else "  ", "good")
        guide = Cell(self._guides(found.lasts), "guide")
        if found.kind is LineKind.ROW and found.record is not None:
            return self._row(found, found.record, gutter, guide)
        if found.kind is LineKind.PENDING:
            return (Cell("    ···", "dim"), *(Cell("·", "dim") for _ in range(others)))
        words = found.text
        if found.kind is LineKind.LOADING:
            words = "loading …"
        elif found.kind is LineKind.MORE:
            words = f"… {found.remaining:,} more"
        tone = "accent" if found.kind is LineKind.MORE else "dim"
        return ((gutter, guide, Cell(words, tone)), *("" for _ in range(others)))

    def _row(self, line: Line, record: Record, gutter: Cell, guide: Cell) -> Sequence[Part]:
        who, rest = archive_cells.cells(record, self.line_width)
        if isinstance(record, StudyRecord):
            who = (*archive_cells.study_name(record, flat=self.flat), *who)
        sign = "  "
        if line.key is not None and line.key.level in BELOW:
            sign = "▾ " if line.is_open else "▸ "
        return ((gutter, guide, Cell(sign, "guide"), *who), *rest)

    @staticmethod
    def _guides(lasts: tuple[bool, ...]) -> str:
        if not lasts:
            return ""
        return "".join("  " if last else "│ " for last in lasts[:-1]) + (
            "└ " if lasts[-1] else "├ "
        )

    def glows(self, line: int) -> bool:
        if not self._glowing:
            return False
        key = self.outline.at(line).key
        return key is not None and self._glowing.get(key, 0.0) > time.monotonic()

    # --- cursor and marks

    @property
    def current(self) -> Line | None:
        """What stands under the cursor."""
        return self.outline.at(self.cursor) if self.cursor < self.line_count else None

    @property
    def current_record(self) -> Record | None:
        """The row under the cursor, when it is loaded."""
        line = self.current
        return line.record if line else None

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor."""
        line = self.current
        if line is None or line.key is None or line.record is None:
            return
        if line.key in self.marks:
            del self.marks[line.key]
        else:
            self.marks[line.key] = line.record
        self.redraw_line(self.cursor)

    def clear_marks(self) -> None:
        """Unmark everything."""
        self.marks.clear()
        self.redraw()

    def glow(self, keys: Iterable[RowKey]) -> None:
        """Let these rows glow for a moment."""
        now = time.monotonic()
        self._glowing = {k: until for k, until in self._glowing.items() if until > now}
        self._glowing.update(dict.fromkeys(keys, now + GLOW_SECONDS))
        if self._glowing:
            self.set_timer(GLOW_SECONDS + 0.05, self.redraw)

    # --- loading

    @property
    def wanted_lines(self) -> tuple[int, int]:
        """First and last line that should be loaded."""
        top = self.first_visible
        return max(0, top - OVERSCAN), top + self.page_lines + OVERSCAN

    def ask_for_missing(self) -> None:
        """Say so when lines near the viewport are not loaded."""
        if self.outline.missing_pages(*self.wanted_lines):
            self.post_message(self.Wanted())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.ask_for_missing()

    def on_resize(self) -> None:
        """More lines may be visible now."""
        self.ask_for_missing()

    # --- while rows move

    def top_row(self) -> RowKey | None:
        """The top-level row that the cursor's line is, or belongs to; None if it is not loaded."""
        line = self.current
        owner = (line.key or line.parent) if line else None
        return (owner, *self.outline.ancestors(owner))[-1] if owner else None

    @contextmanager
    def steady(self, offsets: Mapping[RowKey, int | None] = _NOWHERE) -> Iterator[None]:
        """Inside, the outline changes; the cursor stays on its row, and that where it is seen.

        ``offsets`` says where top-level rows stand afterwards that are not loaded then. Nothing
        is awaited inside: keys pressed meanwhile would be undone.
        """
        outline, at, line = self.outline, self.cursor, self.current
        on_screen, at_top = at - self.first_visible, self.first_visible == 0
        owner = (line.key or line.parent) if line else None
        owners = (owner, *outline.ancestors(owner)) if owner else ()
        start = outline.line_of(owner) if owner else None
        below = at - start if start is not None else 0  # of a line that is no row
        top_offset = outline.top_offset(at)
        yield
        new = self._line_of_first(owners, offsets)
        if new is None:  # the row is gone, or never was there: stay in its place
            new = at if owners else outline.line_of_offset(top_offset)
        elif below and outline.line_of(owners[0]) == new:
            same = outline.at(new + below).parent == owners[0]
            new += below if same else 0
        first = 0 if at_top and new < self.page_lines else new - on_screen
        seen = 0 <= on_screen < self.page_lines  # the wheel may have scrolled it out of sight
        self.put_cursor(new, first, follow=seen)

    def _line_of_first(
        self, keys: Iterable[RowKey], offsets: Mapping[RowKey, int | None]
    ) -> int | None:
        for key in keys:
            line = self.outline.line_of(key)
            if line is not None:
                return line
            offset = offsets.get(key)
            if offset is not None and key.level is self.outline.top:
                return self.outline.line_of_offset(offset)
        return None

    def put_cursor(self, line: int, first_visible: int, *, follow: bool = True) -> None:
        """After rows moved: the cursor on ``line``, the viewport at ``first_visible``."""
        self.cursor = max(0, min(line, self.line_count - 1))
        self.redraw()
        self.scroll_to(y=max(0, first_visible), animate=False)
        if follow:
            self.scroll_to_cursor()
        self.ask_for_missing()
