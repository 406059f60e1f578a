"""Query/Retrieve as the asker, of two archives that others wrote: Orthanc and DCMTK's dcmqrscp."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.builders import make_study, part10_bytes
from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.e2e.proof import dataset_of, run
from tests.interop.dcmqrscp import TITLE, running_dcmqrscp, store
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.interop.samples import ANY, as_one_study, exported, kept
from tuipacs.domain.job import JobState
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import NodeService
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeAddRequest

pytestmark = [pytest.mark.orthanc, pytest.mark.dcmtk]
SYNTAXES = ("explicit little endian", "JPEG baseline", "JPEG 2000 lossless", "RLE")
MOVE, GET = CallService.MOVE, CallService.GET


@dataclass
class Site:
    """Our archive, and the two others; each is a node that moves, and one that is asked to get."""

    ours: RunningArchive
    orthanc: Orthanc
    dcmqrscp: int

    def upload(self, files: Sequence[Path]) -> None:
        """Put files into Orthanc."""
        for file in files:
            self.orthanc.ask("POST", "/instances", file.read_bytes())


def _add(ours: RunningArchive, title: str, port: int) -> None:
    for way in (MOVE, GET):
        # Who moves calls back, under its own title; who is asked to get needs no right here.
        address = "127.0.0.1" if way is MOVE else "127.0.0.2"
        request = NodeAddRequest(
            ae_title=title,
            address=address,
            services=(NodeService.ECHO, NodeService.STORE),
            description=way.value,
            call=NodeCall(host="127.0.0.1", port=port, services=(CallService.QUERY, way)),
        )
        ours.connect().call(op.NODE_ADD, request)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="tp"))
    ours = new_archive(base / "a")
    settings = {
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
    }
    try:
        ours.start()
        with (
            running_orthanc(tmp_path_factory.mktemp("orthanc"), settings) as orthanc,
            running_dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), ("TUIPACS", ours.port)) as port,
        ):
            orthanc.know("archive", "TUIPACS", ours.port)
            _add(ours, "ORTHANC", orthanc.dicom_port)
            _add(ours, TITLE, port)
            yield Site(ours, orthanc, port)
    finally:
        ours.close()
        shutil.rmtree(base)


def node(site: Site, title: str, way: CallService) -> str:
    """The key of a node, as commands take it."""
    for each in site.ours.connect().call(op.REMOTE_NODES, m.Empty()).nodes:
        if each.ae_title == title and way in each.services:
            return str(each.key)
    raise AssertionError(title)


def written(folder: Path, study: Sequence[Dataset]) -> list[Path]:
    """Each object in a file of its own."""
    paths = [folder / f"{number}.dcm" for number in range(len(study))]
    for path, dataset in zip(paths, study, strict=True):
        path.write_bytes(part10_bytes(dataset))
    return paths


def test_both_and_ourselves_are_asked_at_once_and_rows_say_what_is_here(
    site: Site, tmp_path: Path
) -> None:
    study = make_study(2, 3, PatientName="QUERIED^BY MANY", PatientID="QR-1")
    files = written(tmp_path, study)
    site.upload(files)
    store(site.dcmqrscp, files[:5])
    run(site.ours, "import", *map(str, files[:4]))
    nodes = [node(site, "ORTHANC", MOVE), node(site, TITLE, MOVE)]
    found = run(site.ours, "query", *nodes, "--local", "--name", "QUERIED", "--json").json
    (row,) = found["rows"]
    assert [each["state"] for each in found["nodes"]] == ["complete"] * 3
    assert (row["presence"], row["here"], row["elsewhere"]) == ("partial", 4, 6)
    told = {said["ae_title"]: said["instances"] for said in row["answers"]}
    assert told == {"ORTHANC": 6, TITLE: None, "here": 4}  # dcmqrscp does not count
    assert row["differing"] == ""
    series = run(
        site.ours, "query", nodes[0], "--level", "series", "--uid", row["uid"], "--json"
    ).json["rows"]
    assert {each["elsewhere"] for each in series} == {3}


@pytest.mark.parametrize("way", [MOVE, GET])
@pytest.mark.parametrize("title", ["ORTHANC", TITLE])
def test_only_what_is_missing_comes_and_byte_for_byte(
    site: Site, tmp_path: Path, title: str, way: CallService
) -> None:
    study = make_study(2, 3)
    files = written(tmp_path, study)
    if title == TITLE:
        store(site.dcmqrscp, files)
    else:
        site.upload(files)
    run(site.ours, "import", *map(str, files[:2]))
    uid = study[0].StudyInstanceUID
    job = run(site.ours, "retrieve", uid, "--from", node(site, title, way), "--wait", "--json").json
    assert (job["state"], job["stored"], job["duplicate"]) == ("done", 4, 2), job
    sent = {
        str(o.SOPInstanceUID): dataset_of(f.read_bytes()) for o, f in zip(study, files, strict=True)
    }
    assert kept(site.ours, tmp_path / "out", uid) == sent


@pytest.mark.parametrize("way", [MOVE, GET])
def test_compressed_objects_come_as_they_are_stored(
    site: Site, tmp_path: Path, way: CallService
) -> None:
    study, files = as_one_study(tmp_path, [ANY[name] for name in SYNTAXES])
    site.upload(list(files.values()))
    job = run(
        site.ours, "retrieve", study, "--from", node(site, "ORTHANC", way), "--wait", "--json"
    ).json
    assert (job["state"], job["stored"]) == ("done", len(SYNTAXES)), job
    query = {"Level": "Instance", "Expand": True, "Query": {"StudyInstanceUID": study}}
    assert same_as_theirs(site, tmp_path / "out", study, query) == len(SYNTAXES)


def same_as_theirs(site: Site, folder: Path, study: str, query: dict[str, object]) -> int:
    """Compare what Orthanc has with what we have; DCMTK leaves out padding where it sends."""
    ours = exported(site.ours, folder, study)
    found = site.orthanc.ask("POST", "/tools/find", query)
    for each in found:
        theirs = pydicom.dcmread(BytesIO(site.orthanc.fetch(f"/instances/{each['ID']}/file")))
        mine = pydicom.dcmread(ours[str(theirs.SOPInstanceUID)])
        assert mine.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
        values = {element.tag: element.value for element in theirs if element.tag != 0xFFFCFFFC}
        assert {element.tag: element.value for element in mine} == values
    return len(found)


def test_one_archive_sends_to_the_other(site: Site, tmp_path: Path) -> None:
    """What is missing there is asked of the destination, and so is what has come."""
    study = make_study(1, 3)
    files = written(tmp_path, study)
    site.upload(files)
    store(site.dcmqrscp, files[:1])
    site.orthanc.know("qrscp", TITLE, site.dcmqrscp)
    uid = study[0].StudyInstanceUID
    source, to = node(site, "ORTHANC", MOVE), node(site, TITLE, MOVE)
    job = run(site.ours, "retrieve", uid, "--from", source, "--to", to, "--wait", "--json").json
    assert (job["state"], job["stored"], job["duplicate"]) == ("done", 2, 1), job
    rows = run(site.ours, "query", to, "--uid", uid, "--json").json["rows"]
    assert [row["here"] for row in rows] == [0]


def test_a_node_that_does_not_know_us_is_told_with_what_helps(site: Site, tmp_path: Path) -> None:
    """Orthanc says no more than that it cannot: the job waits, and says what may be wrong."""
    study = make_study(1, 1)
    site.upload(written(tmp_path, study))
    site.orthanc.ask("DELETE", "/modalities/archive")
    source = node(site, "ORTHANC", MOVE)
    connection = site.ours.connect()
    try:
        words = ("retrieve", study[0].StudyInstanceUID, "--from", source, "--json")
        request = m.JobRequest(key=run(site.ours, *words).json["key"])
        deadline = time.monotonic() + 20
        while (job := connection.call(op.JOB, request)).state is not JobState.WAITING:
            assert not job.state.ended and time.monotonic() < deadline, job
            time.sleep(0.05)
        assert "it has to know this archive as a destination" in job.message
    finally:
        site.orthanc.know("archive", "TUIPACS", site.ours.port)
    connection.call(op.JOB_RESUME, request)
    while not (job := connection.call(op.JOB, request)).state.ended:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    assert job.state is JobState.DONE
