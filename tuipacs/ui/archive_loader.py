"""Brings rows into the archive table as one looks around; `archive_refresh` keeps them true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.level import Level
from tuipacs.domain.query import SortKey
from tuipacs.errors import DecodeError, ForbiddenError, NotFoundError, UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import ChildrenRequest, PageRequest
from tuipacs.ui.desk import Desk
from tuipacs.ui.outline import PAGE_ROWS, Record, RowKey
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
        self.view = View()  # what is on the screen
        self.wanted = self.view  # what will be, when it is there
        self._generation = 0
        self._filling = False

    @property
    def generation(self) -> int:
        """Another number for each view that was asked for."""
        return self._generation

    async def show(self, view: View) -> bool:
        """Show another view from its top. Raises `UsageError` for a filter that cannot be read.

        False when a later view overtook this one.
        """
        self._generation += 1
        generation = self._generation
        rows, matched, total = await self.page(view, 0)
        if generation != self._generation:
            return False
        self.view = view
        self._table.outline.clear(view.top)
        self._table.outline.put_page(0, rows, matched, total)
        self._table.put_cursor(0, 0)
        return True

    async def page(self, view: View, number: int) -> tuple[tuple[Record, ...], int, int]:
        """One page of top-level rows, how many match, and how many there are."""
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
                rows, matched, total = await self.page(self.view, number)
                if generation != self._generation:
                    continue
                outline = self._table.outline
                if not rows and matched == outline.matched:
                    return  # nothing there: do not ask for ever
                with self._table.steady():
                    outline.put_page(number, rows, matched, total)
                self._table.moved()
        finally:
            self._filling = False

    async def open(self, key: RowKey, limit: int = CHILD_ROWS) -> None:
        """Fetch the children of an opened row."""
        try:
            rows, total = await self.children(key, limit)
        except (UsageError, NotFoundError, ForbiddenError, DecodeError) as error:
            self.fail(key, error.message)
        else:
            with self._table.steady():
                self._table.outline.put_branch(key, rows, total)
        self._table.moved()

    def fail(self, key: RowKey, reason: str) -> None:
        """Say below an opened row why its children could not be fetched."""
        with self._table.steady():
            self._table.outline.fail_branch(key, reason)

    async def more(self, key: RowKey) -> None:
        """Fetch further children of an opened row."""
        branch = self._table.outline.branches.get(key)
        if branch is not None:
            await self.open(key, len(branch.rows) + CHILD_ROWS)

    async def children(self, key: RowKey, limit: int) -> tuple[tuple[Record, ...], int]:
        """Up to ``limit`` children of a row, and how many it has."""
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
