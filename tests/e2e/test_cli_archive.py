"""Import, find, show, export: the way of the data on the command line, through a real daemon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_dataset, make_study, part10_bytes
from tests.e2e.cli_harness import LIMIT, Cli, cli_on_running_archive
from tests.e2e.daemon_fixture import RunningArchive
from tuipacs.domain.job import JobState
from tuipacs.domain.permissions import Role
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import JobsRequest
from tuipacs.schema.messages import JobRequest

HOSTILE = "EVIL^\x1b]52;c;aGk=\x07^\u202eNAME"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Cli, RunningArchive]]:
    with cli_on_running_archive(Role.VIEWER, Role.TECHNOLOGIST, Role.RADIOLOGIST) as both:
        yield both


@pytest.fixture(scope="module")
def cli(running: tuple[Cli, RunningArchive]) -> Cli:
    return running[0]


@pytest.fixture(scope="module")
def archive(running: tuple[Cli, RunningArchive]) -> RunningArchive:
    return running[1]


@pytest.fixture(scope="module")
def study(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A study of two series, imported; file bytes by SOP Instance UID."""
    folder = tmp_path_factory.mktemp("study")
    files = {}
    for number, dataset in enumerate(make_study(2, 2, PatientID="S-1", PatientName="山田^太郎")):
        data = part10_bytes(dataset)
        files[str(dataset.SOPInstanceUID)] = data
        (folder / f"{number}.dcm").write_bytes(data)
    (folder / "notes.txt").write_text("no DICOM")
    result = cli.run("import", str(folder), "--json", user="technologist")
    assert (result.code, result.err) == (0, "")
    assert result.json == {
        "stored": 4,
        "duplicate": 0,
        "refused": [{"path": str(folder / "notes.txt"), "reason": "this is not a DICOM file"}],
    }
    return files


def test_what_was_imported_is_found_under_dicom_keywords(cli: Cli, study: dict[str, bytes]) -> None:
    (row,) = cli.run("find", "id:S-1", "--json", user="viewer").json
    assert row["PatientName"] == "山田^太郎"
    assert row["NumberOfStudyRelatedInstances"] == 4
    assert row["ModalitiesInStudy"] == ["CT"]
    instances = cli.run("find", "id:S-1", "--level", "instance", "--json", user="viewer").json
    assert {row["SOPInstanceUID"] for row in instances} == set(study)


def test_a_limit_is_kept_and_told(cli: Cli, study: dict[str, bytes]) -> None:
    words = ("find", "id:S-1", "--level", "instance", "--limit", "1", "--json")
    result = cli.run(*words, user="viewer")
    assert len(result.json) == 1
    assert "1 of 4" in result.err


def test_nothing_found_is_an_empty_array_and_no_failure(cli: Cli) -> None:
    result = cli.run("find", "nobody-is-called-like-this", "--json", user="viewer")
    assert (result.code, result.json) == (0, [])


def test_a_wrong_filter_is_wrong_usage(cli: Cli) -> None:
    result = cli.run("find", "colour:red", user="viewer")
    assert (result.code, result.out) == (2, "")
    assert "colour" in result.err


def test_show_tells_what_a_uid_names_and_what_is_below(cli: Cli, study: dict[str, bytes]) -> None:
    (row,) = cli.run("find", "id:S-1", "--json", user="viewer").json
    shown = cli.run("show", row["StudyInstanceUID"], "--json", user="viewer").json
    assert shown["level"] == "study"
    assert len(shown["series"]) == 2
    text = cli.run("show", row["StudyInstanceUID"], user="viewer").out
    assert "山田^太郎" in text
    assert shown["series"][0]["SeriesInstanceUID"] in text
    missing = cli.run("show", "1.2.3.4", user="viewer")
    assert (missing.code, missing.out) == (1, "")


def test_export_gives_back_every_file_byte_for_byte(
    cli: Cli, study: dict[str, bytes], tmp_path: Path
) -> None:
    (row,) = cli.run("find", "id:S-1", "--json", user="viewer").json
    words = ("export", row["StudyInstanceUID"], "--to", str(tmp_path / "out"), "--json")
    result = cli.run(*words, user="radiologist")
    assert result.code == 0
    names = [Path(done["path"]).relative_to(tmp_path / "out").as_posix() for done in result.json]
    assert names == [
        "ST000001/SE000001/IM000001.dcm",
        "ST000001/SE000001/IM000002.dcm",
        "ST000001/SE000002/IM000001.dcm",
        "ST000001/SE000002/IM000002.dcm",
    ]
    for done in result.json:
        assert Path(done["path"]).read_bytes() == study[done["SOPInstanceUID"]]
    again = cli.run(*words, user="radiologist")
    assert (again.code, again.out) == (1, "")
    assert "there already" in again.err
    assert not list((tmp_path / "out").rglob("*.part"))


def test_hostile_names_reach_neither_terminal_nor_path(cli: Cli, tmp_path: Path) -> None:
    dataset = make_dataset(PatientID="../../H-1", PatientName=HOSTILE)
    (tmp_path / "in.dcm").write_bytes(part10_bytes(dataset))
    assert cli.run("import", str(tmp_path / "in.dcm"), user="technologist").code == 0
    uid = str(dataset.SOPInstanceUID)
    for words in (
        ("find", "EVIL"),
        ("find", "EVIL", "--json"),
        ("show", uid),
        ("show", "../../H-1"),
    ):
        result = cli.run(*words, user="viewer")
        assert result.code == 0
        assert not any(character in result.out for character in "\x1b\x07\u202e")
    (row,) = cli.run("find", "EVIL", "--json", user="viewer").json
    assert row["PatientID"] == "../../H-1"
    out = tmp_path / "out"
    assert cli.run("export", uid, "--to", str(out), user="radiologist").code == 0
    assert [p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()] == [
        "ST000001/SE000001/IM000001.dcm"
    ]


def test_importing_twice_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    data = part10_bytes(make_dataset(PatientID="TWICE"))
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a", data)
    results = [
        cli.run("import", str(tmp_path / "z.zip"), "--json", user="technologist").json
        for _ in range(2)
    ]
    assert results == [
        {"stored": 1, "duplicate": 0, "refused": []},
        {"stored": 0, "duplicate": 1, "refused": []},
    ]


def test_an_import_that_takes_nothing_fails_and_says_why(cli: Cli, tmp_path: Path) -> None:
    result = cli.run("import", str(tmp_path / "nowhere"), user="technologist")
    assert result.code == 1
    assert "No such file" in result.out
    (tmp_path / "empty").mkdir()
    assert cli.run("import", str(tmp_path / "empty"), user="technologist").code == 1


def test_paths_are_taken_from_where_the_caller_stands(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "here.dcm").write_bytes(part10_bytes(make_dataset()))
    done = subprocess.run(
        [sys.executable, "-m", "tuipacs", "import", "here.dcm"],
        cwd=tmp_path,
        env=cli.environment("technologist"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_ctrl_c_leaves_the_import_running_until_it_is_cancelled(
    cli: Cli, archive: RunningArchive, tmp_path: Path
) -> None:
    for number in range(1500):
        (tmp_path / f"{number:04}.dcm").write_bytes(part10_bytes(make_dataset(PatientID="C-C")))
    connection = archive.connect()
    before = len(connection.call(op.JOBS, JobsRequest()).jobs)
    process = subprocess.Popen(
        [sys.executable, "-m", "tuipacs", "import", str(tmp_path)],
        env=cli.environment("technologist"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    jobs = connection.call(op.JOBS, JobsRequest()).jobs
    while len(jobs) == before or jobs[0].stored == 0:
        time.sleep(0.005)
        jobs = connection.call(op.JOBS, JobsRequest()).jobs
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=LIMIT)
    key = jobs[0].key
    assert (process.returncode, out) == (130, b"")
    assert f"goes on in the archive as job {key}" in said.decode()
    assert not connection.call(op.JOB, JobRequest(key=key)).state.ended
    assert cli.run("jobs", "cancel", str(key), user="technologist").code == 0
    while not (job := connection.call(op.JOB, JobRequest(key=key))).state.ended:
        time.sleep(0.02)
    assert job.state is JobState.CANCELLED
    assert 0 < job.stored < 1500


def _jobs(cli: Cli) -> list[dict[str, object]]:
    jobs: list[dict[str, object]] = cli.run("jobs", "list", "--json", user="technologist").json
    return jobs


def test_jobs_are_listed_and_shown_with_what_they_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    cli.run("import", str(tmp_path / "x"), user="technologist")
    (job, *_) = _jobs(cli)
    shown = cli.run("jobs", "show", str(job["key"]), "--json", user="technologist").json
    assert shown["refusals"] == [
        {"path": str(tmp_path / "x"), "reason": "this is not a DICOM file"}
    ]
    assert cli.run("jobs", "show", "999999", user="technologist").code == 1
