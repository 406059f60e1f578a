"""Keeps the rows of the archive table true while the archive changes.

A person works in the list meanwhile. What is asked for takes several answers; where the cursor
stands is therefore read when they are applied, never before, and nothing is applied that does not
say where the row under the cursor stands now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from tuipacs.domain.level import Level
from tuipacs.domain.query import SortKey
from tuipacs.domain.records import PatientRecord, StudyRecord
from tuipacs.errors import NotFoundError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, PositionRequest
from tuipacs.ui.archive_loader import CHILD_ROWS, ArchiveLoader
from tuipacs.ui.desk import Desk
from tuipacs.ui.outline import PAGE_ROWS, Record, RowKey, key_of
from tuipacs.ui.widgets.archive_table import ArchiveTable

ATTEMPTS = 3
_Top: TypeAlias = PatientRecord | StudyRecord
_Branches: TypeAlias = dict[RowKey, tuple[tuple[Record, ...], int]]


@dataclass
class _News:
    """What one round of questions found. The offset of a row that is gone is None."""

    offsets: dict[RowKey, int | None]
    pages: dict[int, tuple[Record, ...]] = field(default_factory=dict)
    branches: _Branches = field(default_factory=dict)
    matched: int = 0
    total: int = 0

    def places(self, key: RowKey) -> bool:
        """Whether the place of ``key`` is known, and no page has another row there."""
        if key not in self.offsets:
            return False
        offset = self.offsets[key]
        if offset is None:
            return True
        number, index = divmod(offset, PAGE_ROWS)
        rows = self.pages.get(number)
        return rows is None or (index < len(rows) and key_of(rows[index]) == key)


class ArchiveRefresh:
    """Applies changes to a table that an `ArchiveLoader` fills."""

    def __init__(self, desk: Desk, table: ArchiveTable, loader: ArchiveLoader) -> None:
        self._desk = desk
        self._table = table
        self._loader = loader

    async def run(self, changes: Changes | None) -> bool:
        """Bring the list up to date; the cursor stays on its row and the row on its place.

        ``changes`` is None when it is not known what changed. False when the archive changed
        faster than it could be read: the list is as it was, so try again a little later.
        """
        if changes is not None and self._stay_in_place(changes):
            await self._put_in_place(changes)
        elif not await self._read_again(changes):
            return False
        if changes is not None:
            records: tuple[Record, ...] = (*changes.patients, *changes.studies)
            self._table.glow(key_of(record) for record in records)
            self._table.redraw()
        return True

    # --- the order stays: nothing to ask but the children of opened rows

    def _stay_in_place(self, changes: Changes) -> bool:
        """Whether all changed rows are loaded and none of them moves."""
        outline, view = self._table.outline, self._loader.view
        of_patients = view.top is Level.PATIENT
        total = changes.totals.patients if of_patients else changes.totals.studies
        if view.filter or not total == outline.total == outline.matched:
            return False
        records: tuple[_Top, ...] = changes.patients if of_patients else changes.studies
        if view.sort is SortKey.RECEIVED:
            return len(records) <= 1 and all(self._stays_between(record) for record in records)
        return all(self._has_its_order(record) for record in records)

    def _has_its_order(self, record: _Top) -> bool:
        old = self._table.outline.record(key_of(record))
        return old is not None and _order(old) == _order(record)

    def _stays_between(self, record: _Top) -> bool:
        """Whether a row received just now still stands between the same two rows."""
        offset = self._table.outline.offset_of(key_of(record))
        if offset is None:
            return False
        newer, older = (offset - 1, offset + 1)
        if not self._loader.view.descending:
            newer, older = older, newer
        return self._was_received(newer, after=record) and self._was_received(older, before=record)

    def _was_received(
        self, offset: int, *, after: _Top | None = None, before: _Top | None = None
    ) -> bool:
        """Whether the row at ``offset`` is known to be newer or older, or there is none."""
        outline = self._table.outline
        if not 0 <= offset < outline.matched:
            return True
        row = outline.top_record(offset)
        if row is None:
            return False
        return (after is None or row.received_at > after.received_at) and (
            before is None or row.received_at < before.received_at
        )

    async def _put_in_place(self, changes: Changes) -> None:
        table, generation = self._table, self._loader.generation
        records: tuple[Record, ...] = (*changes.patients, *changes.studies)
        for record in records:
            table.outline.put_record(record)
        branches, gone = await self._children(changes)
        if generation == self._loader.generation:
            with table.steady():
                for key in gone:
                    table.outline.close(key)
                for key, (rows, count) in branches.items():
                    table.outline.put_branch(key, rows, count)
            table.moved()

    # --- rows moved, came or went: read what is visible again

    async def _read_again(self, changes: Changes | None) -> bool:
        generation = self._loader.generation
        for _ in range(ATTEMPTS):
            news = await self._gather(changes)
            if generation != self._loader.generation or self._apply(news):
                return True  # applied; or another view came, which is newer
        return False

    async def _gather(self, changes: Changes | None) -> _News:
        anchor = self._table.top_row()
        keys = {*self._table.outline.anchors, *((anchor,) if anchor else ())}
        news = _News({key: await self._position(key) for key in keys})
        first, last = self._new_window(anchor, news.offsets)
        for number in range(first // PAGE_ROWS, last // PAGE_ROWS + 1):
            page = await self._loader.page(self._loader.view, number)
            news.pages[number], news.matched, news.total = page
        news.branches, gone = await self._children(changes)
        news.offsets.update(dict.fromkeys(gone))
        for number, rows in news.pages.items():  # they are newer than the positions
            for index, row in enumerate(rows):
                news.offsets[key_of(row)] = number * PAGE_ROWS + index
        return news

    def _apply(self, news: _News) -> bool:
        """Without a pause; False when the news do not tell where the rows in use stand."""
        table, outline = self._table, self._table.outline
        anchor = table.top_row()
        used = (*outline.anchors, *((anchor,) if anchor else ()))
        if not all(news.places(key) for key in used):
            return False
        with table.steady(news.offsets):
            outline.replace_pages(news.pages, news.matched, news.total)
            outline.move_anchors(news.offsets)
            for key, (rows, count) in news.branches.items():
                outline.put_branch(key, rows, count)
        table.moved()
        return True

    async def _children(self, changes: Changes | None) -> tuple[_Branches, list[RowKey]]:
        """The children of opened rows that changed, and the opened rows that are gone."""
        outline, branches, gone = self._table.outline, _Branches(), list[RowKey]()
        for key in self._touched(changes):
            if (branch := outline.branches.get(key)) is None:
                continue  # closed while we asked
            try:
                branches[key] = await self._loader.children(key, max(CHILD_ROWS, len(branch.rows)))
            except NotFoundError:
                gone.append(key)
        return branches, gone

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

    async def _position(self, key: RowKey) -> int | None:
        view = self._loader.view
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


def _order(record: Record) -> tuple[str, ...]:
    """All that a row is sorted by, but for when it was received."""
    if isinstance(record, PatientRecord):
        return (record.patient_name, record.patient_id, record.latest_study_date)
    if isinstance(record, StudyRecord):
        return (record.patient_name, record.patient_id, record.study_date, record.study_time)
    return ()
