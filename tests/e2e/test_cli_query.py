"""``tuipacs query`` and ``retrieve`` between two archives of our own, with their exit codes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_study, part10_bytes
from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.e2e.proof import Result, dataset_of, export, finished, in_background, run
from tests.ports import unused_port
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import NodeService
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeAddRequest

STUDY = make_study(2, 2, PatientName="DOE^JOHN", StudyDescription="CT CHEST")
UID = str(STUDY[0].StudyInstanceUID)


def add(archive: RunningArchive, title: str, port: int, *services: NodeService) -> None:
    call = NodeCall(host="127.0.0.1", port=port, services=tuple(CallService))
    request = NodeAddRequest(ae_title=title, address="", services=services, call=call)
    archive.connect().call(op.NODE_ADD, request)


@pytest.fixture(scope="module")
def ours() -> Iterator[RunningArchive]:
    """It has half of a series, and the other has two; a third node does not run."""
    base = Path(tempfile.mkdtemp(prefix="tp"))
    ours, theirs = new_archive(base / "a", ae_title="OURS"), new_archive(base / "b")
    try:
        ours.start()
        theirs.start()
        files = [base / f"{number}.dcm" for number in range(4)]
        for file, dataset in zip(files, STUDY, strict=True):
            file.write_bytes(part10_bytes(dataset))
        run(theirs, "import", *map(str, files))
        run(ours, "import", str(files[0]))
        may = (NodeService.QUERY, NodeService.MOVE, NodeService.GET)
        add(theirs, "OURS", ours.port, *may)
        add(ours, "TUIPACS", theirs.port, NodeService.STORE)
        add(ours, "DEAD", unused_port(), NodeService.STORE)
        yield ours
    finally:
        ours.close()
        theirs.close()
        shutil.rmtree(base)


def tried(archive: RunningArchive, *words: str) -> Result:
    return finished(in_background(archive, *words))


def test_partial_results_are_shown_and_the_exit_code_says_to_try_again(
    ours: RunningArchive,
) -> None:
    result = tried(ours, "query", "TUIPACS", "DEAD", "--local", "--name", "doe")
    assert result.code == 3
    line = next(line for line in result.out.splitlines() if UID in line)
    assert "DOE^JOHN" in line and "TUIPACS:4" in line
    assert "this is not all" in result.err
    assert "DEAD: unreachable: " in result.err and "nothing listens there" in result.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("query", "TUIPACS"), 2, "the form is empty"),
        (("query", "--name", "doe"), 2, "nobody is asked"),
        (("query", "TUIPACS", "--date", "soon"), 2, "a date is one of"),
        (("query", "NOBODY", "--name", "doe"), 1, "no node that can be called"),
        (("query", "TUIPACS", "--name", "zoe"), 0, "nothing matches"),
        (("retrieve", "1.2/", "--from", "TUIPACS"), 2, "STUDY/SERIES"),
        (("retrieve", "abc", "--from", "TUIPACS"), 2, "abc is no UID"),
        (("retrieve", "1.2/1.2.*", "--from", "TUIPACS"), 2, "1.2.* is no UID"),
        (("retrieve", "1.2.3", "--from", "TUIPACS", "--wait"), 1, "does not have the study 1.2.3"),
        (("retrieve", UID, "--from", "TUIPACS", "--to", "TUIPACS"), 2, "are the same node"),
    ],
)
def test_what_cannot_be_done_is_told(
    ours: RunningArchive, words: tuple[str, ...], code: int, told: str
) -> None:
    result = tried(ours, *words)
    assert (result.code, told in result.err + result.out) == (code, True), result


def test_a_series_then_the_rest_are_retrieved_byte_for_byte(
    ours: RunningArchive, tmp_path: Path
) -> None:
    """What is here is not fetched again, and the row turns from partial to have."""
    row = run(ours, "query", "TUIPACS", "--uid", UID, "--json").json["rows"][0]
    assert (row["presence"], row["here"], row["elsewhere"]) == ("partial", 1, 4)
    series = f"{UID}/{STUDY[2].SeriesInstanceUID}"
    job = run(ours, "retrieve", series, "--from", "TUIPACS", "--wait", "--json").json
    assert (job["state"], job["stored"], job["duplicate"]) == ("done", 2, 0)
    result = run(ours, "retrieve", UID, "--from", "TUIPACS", "--wait")
    assert "4 of 4 objects are here" in result.out
    row = run(ours, "query", "TUIPACS", "--uid", UID, "--json").json["rows"][0]
    assert row["presence"] == "have"
    sent = {str(dataset.SOPInstanceUID): dataset_of(part10_bytes(dataset)) for dataset in STUDY}
    back = export(ours, tmp_path / "out", [UID])
    assert {o.sop_instance_uid: dataset_of(o.path.read_bytes()) for o in back} == sent
