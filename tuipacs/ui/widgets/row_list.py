"""A list of rows that are all in memory; the cursor sticks to the row's key when rows change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from tuipacs.ui.widgets.line_view import Column, LineView, Part


class Row(NamedTuple):
    """One row: an identity, all its parts (`Column.source` chooses), and whether it is new."""

    key: Hashable
    parts: tuple[Part, ...]
    glow: bool = False
    spans: bool = False  # its parts are taken as they are, the last one over all columns left


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
        self._empty = empty
        self.has_header = has_header

    @property
    def line_count(self) -> int:
        return len(self._rows)

    def columns(self, width: int) -> Sequence[Column]:
        return self._columns_for(width)

    def parts(self, line: int) -> Sequence[Part]:
        parts = self._rows[line].parts
        if self._rows[line].spans:
            return parts
        return [parts[column.source] for column in self._widths(self.line_width)[0]]

    def glows(self, line: int) -> bool:
        return self._rows[line].glow

    def empty_text(self) -> str:
        return self._empty

    def say_when_empty(self, text: str) -> None:
        """Change what stands there when there are no rows."""
        self._empty = text
        self.redraw()

    @property
    def current_key(self) -> Hashable | None:
        """The key of the row under the cursor."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. The cursor stays on its row if that is still there."""
        before = self.current_key
        self._rows = rows
        if before is not None:
            for index, row in enumerate(rows):
                if row.key == before:
                    self.cursor = index
                    break
        self.cursor = max(0, min(self.cursor, len(rows) - 1))
        self.redraw()
        self.scroll_to_cursor()
        if self.current_key != before:
            self.moved()
