"""Rows of storage commitment: many at a reasonable price, and none that outlive what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuipacs.domain.commitment import COMMITTED, PASSED_OVER, AskedState, Failed, Reference
from tuipacs.index import commitments
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.db")
    migrate(index)
    yield index
    index.close()


def _steps(index: Index, count: int) -> int:
    """Thousands of SQLite's steps that so many objects take, from the request to the report."""
    connection = index._connection()
    steps = [0]

    def one_more() -> bool:
        steps[0] += 1
        return False

    references = [Reference(CT, f"1.2.{number}") for number in range(count)]
    connection.set_progress_handler(one_more, 1000)
    with index.write() as tx:
        key = commitments.take(tx, 1, "CT1", f"1.2.{count}", references, 1.0, 1.0)
        outcomes = [(p, p % 2 * 0x0112) for p in range(1, count + 1)]
        commitments.verified(tx, key, outcomes)
        asked = [(0, *reference) for reference in references]
        ours = commitments.ask(tx, 1, "CT1", f"1.3.{count}", asked, 0, 1.0)
        failed = [Failed(*one, 0x0112) for one in references[::2]]
        commitments.take_report(tx, ours, references[1::2], failed, 1.0)
    connection.set_progress_handler(None, 1000)
    return steps[0]


def test_ten_times_as_many_objects_take_ten_times_as_long(index: Index) -> None:
    """Ten thousand took 26 s once: each row was looked for in the whole list."""
    few = _steps(index, 200)
    assert _steps(index, 2000) < 20 * few


def _report(
    index: Index, committed: list[Reference], failed: list[Failed]
) -> tuple[tuple[int, int, int], list[int | None]]:
    """What a first report says of 1.1 (CT) and 1.2 (CT): the counts, and each outcome."""
    with index.write() as tx:
        asked = [(7, CT, "1.1"), (8, CT, "1.2")]
        key = commitments.ask(tx, 1, "PACS2", "2.1", asked, 5, 1.0)
        counts = commitments.take_report(tx, key, committed, failed, 2.0)
        return counts, [item.outcome for item in commitments.items(tx, key)]


@pytest.mark.parametrize(
    ("committed", "failed", "counts", "outcomes"),
    [
        ([(CT, "1.1"), (CT, "1.2")], [], (2, 0, 0), [COMMITTED, COMMITTED]),
        ([(CT, "1.1")], [], (1, 1, 0), [COMMITTED, PASSED_OVER]),
        ([(CT, "1.1"), (MR, "1.2")], [], (1, 1, 0), [COMMITTED, PASSED_OVER]),
        ([(CT, "1.1"), (CT, "1.2")], [(CT, "1.2", 0x0110)], (1, 1, 0), [COMMITTED, 0x0110]),
        ([(CT, "1.1")], [(MR, "1.2", 0x0119)], (1, 1, 0), [COMMITTED, 0x0119]),
        ([(CT, "1.1")], [(CT, "1.2", 0)], (1, 1, 0), [COMMITTED, 0x0110]),
        ([(CT, "1.3"), (CT, "1.4")], [(CT, "1.5", 1)], (0, 2, 3), [PASSED_OVER, PASSED_OVER]),
        ([(CT, "1.10"), (CT, "1.1 ")], [], (0, 2, 2), [PASSED_OVER, PASSED_OVER]),
        ([], [], (0, 2, 0), [PASSED_OVER, PASSED_OVER]),
    ],
)
def test_only_the_very_object_that_a_report_names_is_committed(
    index: Index,
    committed: list[tuple[str, str]],
    failed: list[tuple[str, str, int]],
    counts: tuple[int, int, int],
    outcomes: list[int],
) -> None:
    said = _report(index, [Reference(*o) for o in committed], [Failed(*o) for o in failed])
    assert said == (counts, outcomes)


def test_a_report_that_comes_first_is_not_undone_by_the_answer(index: Index) -> None:
    with index.write() as tx:
        key = commitments.ask(tx, 1, "PACS2", "2.1", [(7, CT, "1.1")], 5, 1.0)
        commitments.take_report(tx, key, [Reference(CT, "1.1")], [], 2.0)
        commitments.set_state(tx, key, AskedState.OPEN, unless=AskedState.REPORTED)
        found = commitments.get(tx, key)
    assert found is not None
    assert found.state == AskedState.REPORTED
