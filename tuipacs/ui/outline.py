"""The archive as lines: a paged top level with branches opened here and there.

No terminal in sight. Lines are numbered from 0 over the whole list, loaded or not. The top level
(patients, or studies when flat) is known page by page; what is below an opened row is loaded as a
whole up to a cap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from tuipacs.domain.level import Level
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord

Record: TypeAlias = PatientRecord | StudyRecord | SeriesRecord | InstanceRecord

PAGE_ROWS = 100
MAX_PAGES = 40

_LEVELS: dict[type, Level] = {
    PatientRecord: Level.PATIENT,
    StudyRecord: Level.STUDY,
    SeriesRecord: Level.SERIES,
    InstanceRecord: Level.INSTANCE,
}
BELOW = {Level.PATIENT: Level.STUDY, Level.STUDY: Level.SERIES, Level.SERIES: Level.INSTANCE}


class RowKey(NamedTuple):
    """What a cursor, a mark and an opened branch stick to."""

    level: Level
    key: int


def key_of(record: Record) -> RowKey:
    """The identity of a row."""
    return RowKey(_LEVELS[type(record)], record.key)


def uid_of(record: Record) -> str:
    """The UID of a row; a patient has its ID."""
    if isinstance(record, PatientRecord):
        return record.patient_id
    if isinstance(record, StudyRecord):
        return record.study_instance_uid
    if isinstance(record, SeriesRecord):
        return record.series_instance_uid
    return record.sop_instance_uid


class LineKind(Enum):
    """What stands on a line."""

    ROW = "row"
    PENDING = "pending"  # a top-level row that is not loaded
    LOADING = "loading"  # children being fetched
    MORE = "more"  # further children that are not loaded
    NOTE = "note"  # why children could not be fetched, or that there are none


class Line(NamedTuple):
    """One line. ``lasts`` says for each depth whether the ancestor there is the last."""

    kind: LineKind
    key: RowKey | None = None
    record: Record | None = None
    lasts: tuple[bool, ...] = ()
    is_open: bool = False
    parent: RowKey | None = None
    text: str = ""
    remaining: int = 0


@dataclass
class Branch:
    """The children of one opened row, as far as loaded."""

    rows: tuple[Record, ...] = ()
    total: int = 0
    loading: bool = True
    error: str = ""


@dataclass
class _Span:
    """Lines below one opened top-level row, which stands at ``offset``."""

    offset: int
    key: RowKey
    lines: list[Line] = field(default_factory=list)


class Outline:
    """Which line shows what. Knows nothing of fetching: `missing_pages` says what is wanted."""

    def __init__(self, top: Level = Level.PATIENT) -> None:
        self.top = top
        self.matched = 0
        self.total = 0
        self.branches: dict[RowKey, Branch] = {}
        self._pages: OrderedDict[int, tuple[Record, ...]] = OrderedDict()
        self._offsets: dict[RowKey, int] = {}  # of loaded top-level rows
        self._anchors: dict[RowKey, int] = {}  # of opened top-level rows
        self._spans: list[_Span] | None = None
        self._starts: list[int] = []  # first line of each span's top row

    # --- top level

    def clear(self, top: Level) -> None:
        """Forget everything and start over with another top level, filter or order."""
        self.__init__(top)  # type: ignore[misc]

    def put_page(self, number: int, rows: tuple[Record, ...], matched: int, total: int) -> None:
        """Keep one page of top-level rows."""
        self.matched, self.total = matched, total
        self._drop_page(number)
        self._pages[number] = rows
        for index, row in enumerate(rows):
            key = key_of(row)
            self._offsets[key] = number * PAGE_ROWS + index
            if key in self._anchors:
                self._anchors[key] = number * PAGE_ROWS + index
        while len(self._pages) > MAX_PAGES:
            self._drop_page(next(iter(self._pages)))
        self._spans = None

    def replace_pages(
        self, pages: Mapping[int, tuple[Record, ...]], matched: int, total: int
    ) -> None:
        """Keep these pages and forget all others, since rows have moved."""
        self._pages.clear()
        self._offsets.clear()
        self.matched, self.total = matched, total
        for number, rows in pages.items():
            self.put_page(number, rows, matched, total)
        self._spans = None

    def move_anchors(self, offsets: Mapping[RowKey, int | None]) -> None:
        """Opened top-level rows stand elsewhere now; None closes one that is gone."""
        for key, offset in offsets.items():
            if offset is None:
                self.close(key)
            elif key in self._anchors:
                self._anchors[key] = offset
        self._spans = None

    def _drop_page(self, number: int) -> None:
        for index, row in enumerate(self._pages.pop(number, ())):
            key = key_of(row)
            if self._offsets.get(key) == number * PAGE_ROWS + index:
                del self._offsets[key]

    @property
    def anchors(self) -> tuple[RowKey, ...]:
        """Opened top-level rows."""
        return tuple(self._anchors)

    def top_record(self, offset: int) -> Record | None:
        """The top-level row at ``offset``; None when it is not loaded."""
        rows = self._pages.get(offset // PAGE_ROWS, ())
        return rows[offset % PAGE_ROWS] if offset % PAGE_ROWS < len(rows) else None

    def offset_of(self, key: RowKey) -> int | None:
        """Where a loaded top-level row stands among its like."""
        return self._offsets.get(key)

    def missing_pages(self, first: int, last: int) -> tuple[int, ...]:
        """Numbers of the pages that lines ``first`` to ``last`` need and that are not loaded."""
        if not self.matched:
            return ()
        low = self.top_offset(max(0, first)) // PAGE_ROWS
        high = self.top_offset(min(last, self.line_count - 1)) // PAGE_ROWS
        return tuple(n for n in range(low, high + 1) if n not in self._pages)

    # --- branches

    def open(self, line: int) -> RowKey | None:
        """Open the row on ``line``; returns its key when its children must be fetched."""
        found = self.at(line)
        if found.kind is not LineKind.ROW or found.key is None or found.key.level not in BELOW:
            return None
        if found.key in self.branches:
            return None
        if found.key.level is self.top:
            self._anchors[found.key] = self.top_offset(line)
        self.branches[found.key] = Branch()
        self._spans = None
        return found.key

    def close(self, key: RowKey) -> None:
        """Close a row and everything below it."""
        branch = self.branches.pop(key, None)
        self._anchors.pop(key, None)
        if branch is not None:
            for row in branch.rows:
                self.close(key_of(row))
        self._spans = None

    def put_branch(self, key: RowKey, rows: tuple[Record, ...], total: int) -> None:
        """Keep the children of an opened row; branches of children that are gone close."""
        branch = self.branches.get(key)
        if branch is None:
            return
        kept = {key_of(row) for row in rows}
        for row in branch.rows:
            if key_of(row) not in kept:
                self.close(key_of(row))
        self.branches[key] = Branch(rows=rows, total=total, loading=False)
        self._spans = None

    def fail_branch(self, key: RowKey, reason: str) -> None:
        """Say in the place of the children why they could not be fetched."""
        if key in self.branches:
            old = self.branches[key]
            self.branches[key] = Branch(rows=old.rows, total=old.total, loading=False, error=reason)
            self._spans = None

    def put_record(self, record: Record) -> None:
        """A loaded row changed in place; nothing happens when it is not loaded, or newer."""
        key = key_of(record)
        offset = self._offsets.get(key)
        if offset is not None:
            number, index = divmod(offset, PAGE_ROWS)
            rows = self._pages[number]
            if rows[index].received_at > record.received_at:
                return
            self._pages[number] = (*rows[:index], record, *rows[index + 1 :])
        for parent, branch in self.branches.items():
            if parent.level in BELOW and BELOW[parent.level] is key.level:
                for index, row in enumerate(branch.rows):
                    if row.key == record.key:
                        branch.rows = (*branch.rows[:index], record, *branch.rows[index + 1 :])
                        self._spans = None

    # --- lines

    def _index(self) -> list[_Span]:
        if self._spans is None:
            spans = []
            for key, offset in sorted(self._anchors.items(), key=lambda item: item[1]):
                if offset < self.matched and self._may_stand_at(key, offset):
                    span = _Span(offset, key)
                    self._grow(span.lines, key, ())
                    spans.append(span)
            self._spans = spans
            self._starts = []
            before = 0
            for span in spans:
                self._starts.append(span.offset + before)
                before += len(span.lines)
        return self._spans

    def _may_stand_at(self, key: RowKey, offset: int) -> bool:
        """False when another row is there: children are never drawn below one not their own."""
        record = self.top_record(offset)
        return record is None or key_of(record) == key

    def _grow(self, out: list[Line], key: RowKey, lasts: tuple[bool, ...]) -> None:
        branch = self.branches.get(key)
        if branch is None:
            return
        if branch.loading and not branch.rows:
            out.append(Line(LineKind.LOADING, lasts=(*lasts, True), parent=key))
            return
        more = branch.total - len(branch.rows)
        tail = more > 0 or bool(branch.error)
        for index, row in enumerate(branch.rows):
            last = (*lasts, index == len(branch.rows) - 1 and not tail)
            child = key_of(row)
            is_open = child in self.branches
            out.append(Line(LineKind.ROW, child, row, last, is_open, key))
            if is_open:
                self._grow(out, child, last)
        if branch.error:
            out.append(Line(LineKind.NOTE, lasts=(*lasts, True), parent=key, text=branch.error))
        elif more > 0:
            out.append(Line(LineKind.MORE, lasts=(*lasts, True), parent=key, remaining=more))
        elif not branch.rows:
            out.append(Line(LineKind.NOTE, lasts=(*lasts, True), parent=key, text="nothing here"))

    @property
    def line_count(self) -> int:
        """How many lines there are, loaded or not."""
        return self.matched + sum(len(span.lines) for span in self._index())

    def _span_before(self, line: int) -> tuple[_Span | None, int]:
        spans = self._index()
        index = bisect_right(self._starts, line) - 1
        if index < 0:
            return None, 0
        return spans[index], self._starts[index]

    def top_offset(self, line: int) -> int:
        """The offset of the top-level row that ``line`` is, or belongs to."""
        span, start = self._span_before(line)
        if span is None:
            return line
        return span.offset + max(0, line - start - len(span.lines))

    def line_of_offset(self, offset: int) -> int:
        """The line of a top-level row."""
        return offset + sum(len(s.lines) for s in self._index() if s.offset < offset)

    def at(self, line: int) -> Line:
        """What stands on ``line``."""
        span, start = self._span_before(line)
        if span is not None and start < line <= start + len(span.lines):
            return span.lines[line - start - 1]
        offset = self.top_offset(line)
        record = self.top_record(offset)
        if record is None:
            return Line(LineKind.PENDING)
        self._pages.move_to_end(offset // PAGE_ROWS)
        key = key_of(record)
        return Line(LineKind.ROW, key, record, is_open=key in self.branches)

    def line_of(self, key: RowKey) -> int | None:
        """Where a loaded row stands; None when it is not loaded."""
        if key.level is self.top:
            offset = self._offsets.get(key)
            return None if offset is None else self.line_of_offset(offset)
        for span, start in zip(self._index(), self._starts, strict=True):
            for index, line in enumerate(span.lines):
                if line.key == key:
                    return start + 1 + index
        return None

    def record(self, key: RowKey) -> Record | None:
        """A loaded row."""
        line = self.line_of(key)
        return None if line is None else self.at(line).record

    def ancestors(self, key: RowKey) -> tuple[RowKey, ...]:
        """Opened rows above ``key``, nearest first."""
        above: list[RowKey] = []
        child = key
        while child.level is not self.top:
            parent = self._parent(child)
            if parent is None:
                break
            above.append(parent)
            child = parent
        return tuple(above)

    def _parent(self, key: RowKey) -> RowKey | None:
        for parent, branch in self.branches.items():
            if BELOW[parent.level] is key.level and any(r.key == key.key for r in branch.rows):
                return parent
        return None

    def opened(self, keys: Iterable[RowKey]) -> tuple[RowKey, ...]:
        """Those of ``keys`` that are open."""
        return tuple(key for key in keys if key in self.branches)
