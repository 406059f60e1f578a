"""Rows of storage commitment: many at a reasonable price, and none that outlive what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from tests.builders import make_dataset
from tests.unit.services.parts import Parts, received, take
from tuipacs.domain.commitment import COMMITTED, PASSED_OVER, AskedState, Failed, Reference
from tuipacs.domain.node import NEVER_CALLED, NodeCall, NodeRecord, is_same_machine
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid
from tuipacs.index import commitments, commitments_taken, nodes
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
        key = commitments_taken.take(tx, 1, "CT1", f"1.2.{count}", references, 1.0, 1.0)
        outcomes = [(p, p % 2 * 0x0112) for p in range(1, count + 1)]
        commitments_taken.verified(tx, key, outcomes)
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


# -- what counts of several transactions

NODE = NodeRecord(
    key=0,
    ae_title="PACS2",
    address="",
    services=(NodeService.REPORT,),
    description="",
    created_at=0.0,
    certificate_sha256="ab",
    call=NodeCall(host="pacs2.example", port=104),
)


@pytest.fixture
def site(parts: Parts) -> Site:
    return Site(parts)


class Site:
    """A study of one object, a node, and what passes between them."""

    def __init__(self, parts: Parts) -> None:
        take(parts.ingest, received(make_dataset(SOPInstanceUID="1.1")))
        self.index = parts.index
        (self.study,) = [row[0] for row in parts.rows("SELECT id FROM study")]
        ((self.instance, self.sop_class),) = parts.rows("SELECT id, sop_class_uid FROM instance")
        self.node = self.add()

    def add(self, address: str = "") -> NodeRecord:
        node = structs.replace(NODE, address=address)
        with self.index.write() as tx:
            return structs.replace(node, key=nodes.add_node(tx, node))

    def change(self, node: NodeRecord) -> None:
        with self.index.write() as tx:
            nodes.change_node(tx, node)

    def ask(self, instance: int = 0) -> int:
        asked = [(instance or self.instance, self.sop_class, "1.1")]
        with self.index.write() as tx:
            return commitments.ask(tx, self.node.key, "PACS2", new_uid(), asked, 5, 1.0)

    def says(self, key: int, word: str) -> None:
        """ "yes", "no", "other": a report that names something else."""
        yes = [Reference(self.sop_class, "1.1" if word == "yes" else "1.3")]
        no = [Failed(self.sop_class, "1.1", 0x0112)]
        with self.index.write() as tx:
            commitments.take_report(
                tx, key, [] if word == "no" else yes, no if word == "no" else [], 2.0
            )

    def committed(self) -> list[tuple[int, int]]:
        """(node, objects) of the study; a job may not count what the study does not."""
        with self.index.read() as reader:
            found = commitments.of_study(reader, self.study)
            assert commitments.committed_instances(reader, 5) == (
                {self.instance} if found else set()
            )
        return [(one.node, one.committed) for one in found]


@pytest.mark.parametrize(
    ("story", "is_committed"),
    [
        ("ask 1, 1 yes, ask 2", True),
        ("ask 1, 1 yes, ask 2, 2 no", False),
        ("ask 1, 1 yes, ask 2, 2 other", False),
        ("ask 1, ask 2, 2 no, 1 yes", False),
        ("ask 1, ask 2, 1 no, 2 yes", False),
        ("ask 1, ask 2, 2 yes, 1 no", False),
        ("ask 1, 1 no, ask 2, 2 yes", True),
        ("ask 1, 1 no, ask 2, 1 yes", False),
        ("ask 1, 1 no, ask 2, 2 yes, 1 yes", True),
        ("ask 1, 1 yes, ask 2, 2 no, 1 yes", False),
        ("ask 1, 1 yes, ask 2, 2 no, ask 3", False),
        ("ask 1, 1 yes, ask 2, 2 no, ask 3, 3 yes", True),
        ("ask 1, 1 yes, ask 2, 2 no, ask 3, 3 yes, 2 no", False),
    ],
)
def test_a_refusal_counts_more_than_what_was_asked_before_it_came(
    site: Site, story: str, is_committed: bool
) -> None:
    """Which of two reports was looked at last nobody knows, but that pictures get deleted."""
    keys: dict[str, int] = {}
    for deed in story.split(", "):
        first, second = deed.split()
        if first == "ask":
            keys[second] = site.ask()
        else:
            site.says(keys[first], second)
    assert site.committed() == ([(site.node.key, 1)] if is_committed else [])


def test_a_refusal_counts_for_every_version_of_the_object(site: Site) -> None:
    """Also of one that is not here any more: what a node has or has not bears a UID."""
    site.says(site.ask(), "yes")
    site.says(site.ask(instance=site.instance + 1), "no")
    assert site.committed() == []


@pytest.mark.parametrize("word", ["yes", "no"])
def test_the_word_of_a_removed_node_is_not_that_of_the_next(site: Site, word: str) -> None:
    before = site.ask()
    site.says(before, "yes")
    with site.index.write() as tx:
        nodes.remove_node(tx, site.node.key)
    assert site.committed() == []
    assert site.add().key == site.node.key  # as SQLite has it: the trap that this is about
    assert site.committed() == []
    key = site.ask()
    site.says(before, word)
    assert site.committed() == []
    site.says(key, "yes")
    assert site.committed() == [(site.node.key, 1)]


@pytest.mark.parametrize(
    ("node", "is_another"),
    [
        (structs.replace(NODE, ae_title="PACS3"), True),
        (structs.replace(NODE, certificate_sha256="cd"), True),
        (structs.replace(NODE, certificate_sha256=""), True),
        (structs.replace(NODE, call=structs.replace(NODE.call, host="10.0.0.9")), True),
        (structs.replace(NODE, call=structs.replace(NODE.call, port=11112)), True),
        (structs.replace(NODE, call=NEVER_CALLED), True),
        (structs.replace(NODE, description="the old one", paused=True), False),
        (structs.replace(NODE, call=structs.replace(NODE.call, max_associations=3)), False),
        (NODE, False),
    ],
)
def test_what_one_machine_has_promised_is_not_shown_of_another(
    site: Site, node: NodeRecord, is_another: bool
) -> None:
    """Nor when the change is undone: in between, the other one may have reported."""
    site.says(site.ask(), "yes")
    assert is_same_machine(site.node, node) is not is_another
    site.change(structs.replace(node, key=site.node.key))
    expected = [] if is_another else [(site.node.key, 1)]
    assert site.committed() == expected
    site.change(site.node)
    assert site.committed() == expected


def test_two_nodes_of_one_title_are_two(site: Site) -> None:
    site.says(site.ask(), "yes")
    first, site.node = site.node, site.add("10.0.0.9")
    assert site.committed() == [(first.key, 1)]
    site.says(site.ask(), "no")
    assert site.committed() == [(first.key, 1)]
    site.says(site.ask(), "yes")
    assert site.committed() == [(first.key, 1), (site.node.key, 1)]
