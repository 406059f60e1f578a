"""Brings rows into the archive table, and keeps them true while the archive changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.level import Level
from tuipacs.domain.query import SortKey
from tuipacs.errors import DecodeError, ForbiddenError, NotFoundError, UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import (
    Changes,
    ChildrenRequest,
    PageRequest,
    PositionRequest,
)
from tuipacs.ui.desk import Desk
from tuipacs.ui.outline import PAGE_ROWS, Record, RowKey, key_of
from tuipacs.ui.widgets.archive_table import ArchiveTable

CHILD_ROWS = 200


@dataclass(frozen=True)
class View:
    """What the list shows and in which order."""

    filter: str = ""
    sort: SortKey = SortKey.RECEIVED
    descending: bool = True
    top: Level = Level.PATIENT


class ArchiveLoader:
    """All requests of the archive screen. Answers to a view that is gone are dropped."""

    def __init__(self, desk: Desk, table: ArchiveTable) -> None:
        self._desk = desk
        self._table = table
        self.view = View()
        self._generation = 0
        self._filling = False

    async def show(self, view: View) -> bool:
        """Show another view from its top. Raises `UsageError` for a filter that cannot be read.

        False when a later view overtook this one.
        """
        self._generation += 1
        generation = self._generation
        rows, matched, total = await self._page(view, 0)
        if generation != self._generation:
            return False
        self.view = view
        self._table.outline.clear(view.top)
        self._table.outline.put_page(0, rows, matched, total)
        self._table.put_cursor(0, 0)
        return True

    async def _page(self, view: View, number: int) -> tuple[tuple[Record, ...], int, int]:
        request = PageRequest(
            filter=view.filter,
            sort=view.sort,
            descending=view.descending,
            offset=number * PAGE_ROWS,
            limit=PAGE_ROWS,
        )
        if view.top is Level.PATIENT:
            patients = await self._desk.link.call(op.PATIENTS, request)
            self._note(patients.as_of_seq)
            return patients.rows, patients.matched, patients.total
        studies = await self._desk.link.call(op.STUDIES, request)
        self._note(studies.as_of_seq)
        return studies.rows, studies.matched, studies.total

    def _note(self, seq: int) -> None:
        if self._desk.as_of_seq < 0:
            self._desk.as_of_seq = seq

    async def fill(self) -> None:
        """Load what is missing near the viewport, until nothing is; one request at a time."""
        if self._filling:
            return
        self._filling = True
        try:
            while pages := self._table.outline.missing_pages(*self._table.wanted_lines):
                generation = self._generation
                number = pages[0]
                rows, matched, total = await self._page(self.view, number)
                if generation != self._generation:
                    continue
                outline = self._table.outline
                if not rows and matched == outline.matched:
                    return  # nothing there: do not ask for ever
                outline.put_page(number, rows, matched, total)
                self._table.redraw()
                self._table.moved()
        finally:
            self._filling = False

    async def open(self, key: RowKey, limit: int = CHILD_ROWS) -> None:
        """Fetch the children of an opened row."""
        try:
            rows, total = await self._children(key, limit)
        except (UsageError, NotFoundError, ForbiddenError, DecodeError) as error:
            self._table.outline.fail_branch(key, error.message)
        else:
            self._table.outline.put_branch(key, rows, total)
        self._table.redraw()
        self._table.moved()

    async def more(self, key: RowKey) -> None:
        """Fetch further children of an opened row."""
        branch = self._table.outline.branches.get(key)
        if branch is not None:
            await self.open(key, len(branch.rows) + CHILD_ROWS)

    async def _children(self, key: RowKey, limit: int) -> tuple[tuple[Record, ...], int]:
        rows: list[Record] = []
        while True:
            page, total = await self._children_page(key, len(rows), min(500, limit - len(rows)))
            rows.extend(page)
            if not page or len(rows) >= min(limit, total):
                return tuple(rows), total

    async def _children_page(
        self, key: RowKey, offset: int, limit: int
    ) -> tuple[Sequence[Record], int]:
        link = self._desk.link
        if key.level is Level.PATIENT:
            request = ChildrenRequest(
                key=key.key, filter=self.view.filter, offset=offset, limit=limit
            )
            studies = await link.call(op.STUDIES_OF, request)
            return studies.rows, studies.total
        request = ChildrenRequest(key=key.key, offset=offset, limit=limit)
        if key.level is Level.STUDY:
            series = await link.call(op.SERIES_OF, request)
            return series.rows, series.total
        instances = await link.call(op.INSTANCES_OF, request)
        return instances.rows, instances.total

    # --- while the archive changes

    async def refresh(self, changes: Changes | None) -> None:
        """Bring the list up to date; the cursor stays on its row and the row on its place."""
        table, outline, generation = self._table, self._table.outline, self._generation
        cursor = table.current.key if table.current else None
        anchor = self._top_of(cursor)
        keys = {*outline.anchors, *((anchor,) if anchor else ())}
        offsets = {key: await self._position(key) for key in keys}
        first, last = self._new_window(anchor, offsets)
        pages: dict[int, tuple[Record, ...]] = {}
        matched = total = 0
        for number in range(first // PAGE_ROWS, last // PAGE_ROWS + 1):
            pages[number], matched, total = await self._page(self.view, number)
        branches = {}
        for key in self._touched(changes):
            limit = max(CHILD_ROWS, len(outline.branches[key].rows))
            try:
                branches[key] = await self._children(key, limit)
            except NotFoundError:
                offsets[key] = None
        if generation != self._generation:
            return
        for number, rows in pages.items():  # they are newer than the positions
            for index, row in enumerate(rows):
                if key_of(row) in offsets:
                    offsets[key_of(row)] = number * PAGE_ROWS + index
        self._apply(cursor, anchor, offsets, pages, matched, total, branches)
        if changes is not None:
            records: tuple[Record, ...] = (*changes.patients, *changes.studies)
            table.glow(key_of(record) for record in records)
            table.redraw()

    def _apply(
        self,
        cursor: RowKey | None,
        anchor: RowKey | None,
        offsets: dict[RowKey, int | None],
        pages: dict[int, tuple[Record, ...]],
        matched: int,
        total: int,
        branches: dict[RowKey, tuple[tuple[Record, ...], int]],
    ) -> None:
        table, outline = self._table, self._table.outline
        on_screen = table.cursor - table.first_visible
        at_top = table.first_visible == 0
        outline.replace_pages(pages, matched, total)
        outline.move_anchors(offsets)
        for key, (rows, count) in branches.items():
            outline.put_branch(key, rows, count)
        line = outline.line_of(cursor) if cursor else None
        offset = offsets.get(anchor) if anchor else None
        if line is None and offset is not None:
            line = outline.line_of_offset(offset)
        if line is None:  # the row is gone: stay where it was
            line = table.cursor
        first = 0 if at_top and line < table.page_lines else line - on_screen
        table.put_cursor(line, first)
        table.moved()

    def _top_of(self, key: RowKey | None) -> RowKey | None:
        if key is None or key.level is self.view.top:
            return key
        above = self._table.outline.ancestors(key)
        return above[-1] if above else None

    async def _position(self, key: RowKey) -> int | None:
        view = self.view
        request = PositionRequest(
            level=key.level,
            key=key.key,
            filter=view.filter,
            sort=view.sort,
            descending=view.descending,
        )
        return (await self._desk.link.call(op.POSITION, request)).offset

    def _new_window(
        self, anchor: RowKey | None, offsets: dict[RowKey, int | None]
    ) -> tuple[int, int]:
        """Offsets of the top-level rows that the viewport will show."""
        table, outline = self._table, self._table.outline
        top = table.first_visible
        first = outline.top_offset(top)
        last = outline.top_offset(max(top, min(top + table.page_lines, outline.line_count - 1)))
        new = offsets.get(anchor) if anchor else None
        if top > 0 and new is not None:
            shift = new - outline.top_offset(table.cursor)
            first, last = first + shift, last + shift
        return max(0, first), max(0, last)

    def _touched(self, changes: Changes | None) -> tuple[RowKey, ...]:
        outline = self._table.outline
        if changes is None:
            return tuple(outline.branches)
        return outline.opened(
            (
                *(RowKey(Level.PATIENT, row.key) for row in changes.patients),
                *(RowKey(Level.STUDY, row.key) for row in changes.studies),
                *(RowKey(Level.SERIES, key) for key in changes.series_keys),
            )
        )
