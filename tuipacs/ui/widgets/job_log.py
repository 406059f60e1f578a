"""The instances of one job, a page at a time: ten thousand of them cost what is visible."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from textual.message import Message

from tuipacs.domain.job import JobItem
from tuipacs.schema.job_messages import JobItems
from tuipacs.ui.widgets.job_cells import item_cells, item_columns
from tuipacs.ui.widgets.line_view import Cell, Column, LineView, Part

PAGE = 200
_KEPT = 20  # pages


class JobLog(LineView):
    """Asks for what it has to show with `Wanted`; takes it with `take`."""

    class Wanted(Message):
        """A page is not there: the lines from ``offset`` on."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count = 0
        self._pages: OrderedDict[int, Sequence[JobItem]] = OrderedDict()
        self._asked: set[int] = set()
        self._empty = ""

    @property
    def line_count(self) -> int:
        return self._count

    def columns(self, width: int) -> Sequence[Column]:
        return item_columns(width)

    def empty_text(self) -> str:
        return self._empty

    def parts(self, line: int) -> Sequence[Part]:
        number, place = divmod(line, PAGE)
        page = self._pages.get(number)
        if page is None:
            if number not in self._asked:
                self._asked.add(number)
                self.post_message(self.Wanted(number * PAGE))
            return (Cell("·", "dim"), Cell("···", "dim"))
        self._pages.move_to_end(number)
        if place >= len(page):  # there are fewer now
            return (Cell(""),)
        wide = len(self._widths(self.line_width)[0]) > 3
        cells = item_cells(page[place])
        return cells if wide else (cells[0], cells[1], cells[3])

    def start(self, empty: str) -> None:
        """Show another job, or other instances of it."""
        self._pages.clear()
        self._asked.clear()
        self._count, self._empty, self.cursor = 0, empty, 0
        self.redraw()

    @property
    def visible_offset(self) -> int:
        """Where the page begins that is looked at."""
        return self.first_visible // PAGE * PAGE

    def stale(self) -> None:
        """What is not looked at has to be asked for again."""
        visible = self.visible_offset // PAGE
        self._pages = OrderedDict((n, page) for n, page in self._pages.items() if n == visible)
        self._asked &= {visible}

    def take(self, offset: int, answer: JobItems) -> None:
        """A page has come."""
        self._pages[offset // PAGE] = answer.items
        self._asked.discard(offset // PAGE)
        while len(self._pages) > _KEPT:
            self._pages.popitem(last=False)
        self._count = answer.matched
        self.cursor = max(0, min(self.cursor, self._count - 1))
        self.redraw()
