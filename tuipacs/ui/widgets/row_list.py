"""A list of rows that are all in memory; the cursor sticks to the row's key when rows change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from tuipacs.ui.format import wrap
from tuipacs.ui.widgets.line_view import Cell, Column, LineView, Part


class Row(NamedTuple):
    """One row: an identity, all its parts (`Column.source` chooses), and whether it is new."""

    key: Hashable
    parts: tuple[Part, ...]
    glow: bool = False
    spans: bool = False  # its parts are taken as they are, the last one over all columns left,
    # in as many lines as it needs


class RowList(LineView):
    """Rows are set as a whole; ``layout`` gives the columns for a width."""

    def __init__(
        self,
        layout: Callable[[int], Sequence[Column]],
        *,
        empty: str = "",
        has_header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns_for = layout
        self._rows: Sequence[Row] = ()
        self._lines: Sequence[Row] = ()  # a row that needs several lines has one for each
        self._wrapped_for = 0  # cells
        self._empty = empty
        self.has_header = has_header

    @property
    def line_count(self) -> int:
        return len(self._lines)

    def columns(self, width: int) -> Sequence[Column]:
        return self._columns_for(width)

    def parts(self, line: int) -> Sequence[Part]:
        parts = self._lines[line].parts
        if self._lines[line].spans:
            return parts
        return [parts[column.source] for column in self._widths(self.line_width)[0]]

    def glows(self, line: int) -> bool:
        return self._lines[line].glow

    def empty_text(self) -> str:
        return self._empty

    def say_when_empty(self, text: str) -> None:
        """Change what stands there when there are no rows."""
        self._empty = text
        self.redraw()

    @property
    def current_key(self) -> Hashable | None:
        """The key of the row under the cursor."""
        return self.key_at(self.cursor)

    def key_at(self, line: int) -> Hashable | None:
        """The key of the row that ``line`` belongs to."""
        return self._lines[line].key if 0 <= line < len(self._lines) else None

    def line_of(self, key: Hashable) -> int | None:
        """The first line of a row."""
        return next((i for i, row in enumerate(self._lines) if row.key == key), None)

    def on_resize(self) -> None:
        """Rows that need several lines need fewer or more."""
        if self._wrap_width != self._wrapped_for:
            self.set_rows(self._rows)

    @property
    def _wrap_width(self) -> int:
        """Cells of a line beside a scroll bar, whether there is one or not."""
        return self.size.width - self.styles.scrollbar_size_vertical

    def _wrapped(self) -> Sequence[Row]:
        self._wrapped_for = self._wrap_width
        if not any(row.spans for row in self._rows):
            return self._rows
        lines: list[Row] = []
        for row in self._rows:
            lines += self._lines_of(row) if row.spans else (row,)
        return lines

    def _lines_of(self, row: Row) -> list[Row]:
        *before, last = row.parts
        if not isinstance(last, Cell):
            return [row]
        texts = wrap(last.text, self.room_from(len(before), self._wrapped_for))
        blank = [Cell("")] * len(before)
        return [
            row._replace(parts=(*(blank if index else before), last._replace(text=text)))
            for index, text in enumerate(texts)
        ]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. The cursor stays on its row if that is still there."""
        before, first = self.current_key, 0
        if before is not None:
            first = self.line_of(before) or 0
        self._rows = rows
        self._lines = self._wrapped()
        if before is not None and (line := self.line_of(before)) is not None:
            inside = self.cursor - first  # the row, as far as it still has so many lines
            while inside and self.key_at(line + inside) != before:
                inside -= 1
            self.cursor = line + inside
        self.cursor = max(0, min(self.cursor, len(self._lines) - 1))
        self.redraw()
        self.scroll_to_cursor()
        if self.current_key != before:
            self.moved()
