"""Which line shows what, with branches open anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.ui.fake_archive import FakeArchive, patient
from tuipacs.domain.level import Level
from tuipacs.ui.outline import MAX_PAGES, PAGE_ROWS, LineKind, Outline, RowKey


def filled(count: int) -> Outline:
    """All pages of ``count`` patients."""
    outline = Outline()
    rows = tuple(patient(key) for key in range(count))
    for number in range(-(-count // PAGE_ROWS)):
        page = rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]
        outline.put_page(number, page, count, count)
    return outline


def open_at(outline: Outline, archive: FakeArchive, line: int) -> None:
    """Open the patient on ``line`` with its two studies."""
    key = outline.open(line)
    assert key is not None
    rows = tuple(archive.studies_of(archive.patients[key.key]))
    outline.put_branch(key, rows, len(rows))


@given(st.sets(st.integers(0, 249), max_size=20))
def test_lines_and_rows_agree_whatever_is_open(opened: set[int]) -> None:
    archive, outline = FakeArchive(250), filled(250)
    for key in opened:
        line = outline.line_of(RowKey(Level.PATIENT, key))
        assert line is not None
        open_at(outline, archive, line)
    assert outline.line_count == 250 + 2 * len(opened)
    tops = []
    for line in range(outline.line_count):
        found = outline.at(line)
        assert found.key is not None
        assert outline.line_of(found.key) == line
        if found.key.level is Level.PATIENT:
            tops.append(found.key.key)
            assert outline.line_of_offset(outline.top_offset(line)) == line
        else:
            assert found.parent == RowKey(Level.PATIENT, tops[-1])
            assert outline.top_offset(line) == tops[-1]
    assert tops == list(range(250))


def test_a_page_that_is_not_loaded_is_pending_and_asked_for() -> None:
    outline = Outline()
    outline.put_page(0, tuple(patient(key) for key in range(PAGE_ROWS)), 1000, 1000)
    assert outline.at(PAGE_ROWS).kind is LineKind.PENDING
    assert outline.missing_pages(0, PAGE_ROWS - 1) == ()
    assert outline.missing_pages(90, 310) == (1, 2, 3)
    assert outline.missing_pages(990, 5000) == (9,)


def test_only_so_many_pages_are_kept() -> None:
    outline = Outline()
    count = (MAX_PAGES + 5) * PAGE_ROWS
    for number in range(MAX_PAGES + 5):
        start = number * PAGE_ROWS
        rows = tuple(patient(key) for key in range(start, start + PAGE_ROWS))
        outline.put_page(number, rows, count, count)
    assert outline.at(0).kind is LineKind.PENDING
    assert outline.at(count - 1).kind is LineKind.ROW


def test_an_open_branch_follows_its_row_to_another_place() -> None:
    archive, outline = FakeArchive(50), filled(50)
    open_at(outline, archive, 10)
    rows = (archive.patients[10], *archive.patients[:10], *archive.patients[11:])
    outline.replace_pages({0: rows}, 50, 50)
    outline.move_anchors({RowKey(Level.PATIENT, 10): 0})
    assert outline.at(0).is_open
    assert outline.at(1).parent == RowKey(Level.PATIENT, 10)
    assert outline.line_count == 52


def test_a_branch_whose_row_is_gone_closes() -> None:
    archive, outline = FakeArchive(50), filled(50)
    open_at(outline, archive, 10)
    outline.move_anchors({RowKey(Level.PATIENT, 10): None})
    assert outline.line_count == 50
    assert not outline.branches


def test_children_beyond_the_cap_are_told_as_more() -> None:
    archive, outline = FakeArchive(5), filled(5)
    key = outline.open(0)
    assert key is not None
    outline.put_branch(key, tuple(archive.studies_of(archive.patients[0])), 9)
    last = outline.at(3)
    assert (last.kind, last.remaining) == (LineKind.MORE, 7)


def test_closing_a_patient_closes_what_is_open_below() -> None:
    archive, outline = FakeArchive(5), filled(5)
    open_at(outline, archive, 0)
    key = outline.open(1)
    assert key is not None
    assert key.level is Level.STUDY
    outline.close(RowKey(Level.PATIENT, 0))
    assert not outline.branches
    assert outline.line_count == 5
