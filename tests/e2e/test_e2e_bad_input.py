"""Bad input on the real socket and from real files: stored or refused for a clear reason.

All cases of `tests.e2e.hostile` go into one archive through both doors, once; the tests look at
what came of it. After each object the same association answers a C-ECHO.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dimse.raw_peer import CT, ECHO_CONTEXT, RawPeer, command
from tests.e2e import hostile
from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.e2e.hostile import SECRET
from tests.e2e.proof import Stored, check_whole, dataset_of, finished, in_background, run, sha256

REFUSED = {  # by both doors; what is not here is stored, byte for byte
    "a climbing path as SOP Instance UID": "the SOP Instance UID is not usable",
    "a climbing path as Study Instance UID": "the Study Instance UID is not usable",
    "a climbing path as Series Instance UID": "the Series Instance UID is not usable",
    "a UID of 200 characters": "the SOP Instance UID is not usable",
    "500 nested sequences": "sequences are nested more than 32 deep",
    "5,000 nested sequences": "sequences are nested more than 32 deep",
    "no SOP Instance UID": "the dataset has no SOP Instance UID",
    "no SOP Class UID": "the dataset has no SOP Class UID",
    "no UIDs": "the dataset has no SOP Class UID",
    "noise": "the dataset has no SOP Class UID",
    "broken deflate": "the deflated dataset is damaged or cut short",
}
REFUSED_FILES = {
    "an empty file": "the file is empty",
    "131 bytes": "this is not a DICOM file",
    "no dataset": "the file ends before its dataset",
    "not DICOM": "this is not a DICOM file",
    "a broken ZIP": "a ZIP archive that cannot be read",
    "a FIFO": "a FIFO, not a file",
    "a symbolic link": "a symbolic link: not followed",
    "a hostile file name": "this is not a DICOM file",
}
CASES = list(hostile.datasets("token"))
FILES = [*hostile.files("token"), "a FIFO", "a symbolic link", "a hostile file name"]
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Aftermath:
    """What came of all cases."""

    archive: RunningArchive
    base: Path
    token: str
    around: set[Path]  # all paths beside the archive folder, before
    pid: int
    statuses: dict[str, tuple[int, str]]
    datasets: dict[str, bytes]
    paths: dict[str, Path]
    told: dict[str, Any]
    kept: list[Stored]

    def reason(self, name: str) -> str:
        """Why a file was refused; empty if it was not."""
        path = os.fsencode(self.paths[name]).decode("utf-8", "backslashreplace")
        return next((row["reason"] for row in self.told["refused"] if row["path"] == path), "")


def send(archive: RunningArchive, dataset: bytes, syntax: str) -> tuple[int, str]:
    """(status, error comment) of a C-STORE; the association then answers a C-ECHO and releases."""
    with RawPeer(archive.port) as peer:
        peer.socket.settimeout(60)
        calling = b"\x1b[31m../../" + SECRET.encode()
        reply = peer.associate([ECHO_CONTEXT, (3, CT, [syntax])])
        assert reply.kind == "accept", calling
        uid = hostile.instance_of(dataset, syntax)
        peer.request(3, command(0x0001, CT, dataset=True, instance=uid), dataset)
        answer = peer.answer()
        assert peer.echo() == 0
        peer.release()
    return int.from_bytes(answer[0x0900], "little"), answer.get(0x0902, b"").decode().strip()


def everything_beside(archive: RunningArchive) -> set[Path]:
    base = archive.paths.root.parent
    return {p for p in base.rglob("*") if not p.is_relative_to(archive.paths.root)}


@pytest.fixture(scope="module")
def after() -> Iterator[Aftermath]:
    base = Path(tempfile.mkdtemp(prefix="tp"))
    archive = new_archive(base / "a")
    token = f"t{secrets.token_hex(6)}"
    cases = hostile.datasets(token)
    contents = {name: hostile.part10(data, syntax) for name, (data, syntax) in cases.items()}
    try:
        archive.start()
        paths = hostile.lay_out(base / "offer", contents | hostile.files(token))
        around = everything_beside(archive)
        statuses = {name: send(archive, *case) for name, case in cases.items()}
        imported = finished(in_background(archive, "import", str(base / "offer"), "--json"))
        assert imported.code == 0, imported
        kept = check_whole(archive, base / "out")
        yield Aftermath(
            archive,
            base,
            token,
            around,
            archive.pid,
            statuses,
            {name: data for name, (data, _) in cases.items()},
            paths,
            imported.json,
            kept,
        )
    finally:
        archive.close()
        shutil.rmtree(base)


@pytest.mark.parametrize("name", CASES)
def test_over_the_network(after: Aftermath, name: str) -> None:
    """Stored byte for byte with Success, or C000 with the reason, never anything else."""
    status, comment = after.statuses[name]
    if name in REFUSED:
        assert status == 0xC000
        assert comment.startswith(REFUSED[name])
    else:
        assert (status, comment) == (0, "")
        assert sha256(after.datasets[name]) in {stored.dataset_sha256 for stored in after.kept}


@pytest.mark.parametrize("name", [*CASES, *FILES])
def test_from_a_file(after: Aftermath, name: str) -> None:
    """A refusal names the file and the reason; the rest is in the archive."""
    expected = (REFUSED | REFUSED_FILES).get(name, "")
    assert after.reason(name).startswith(expected) if expected else after.reason(name) == ""


def test_every_file_is_accounted_for(after: Aftermath) -> None:
    """Stored, there already, or refused: nothing disappears."""
    refused = [name for name in after.paths if after.reason(name)]
    assert set(refused) == REFUSED.keys() | REFUSED_FILES.keys()
    files = len(after.paths) - 1  # the DICOMDIR is no object; its references are told beside it
    assert after.told["stored"] + after.told["duplicate"] + len(refused) == files
    sent_before = {n for n in CASES if n not in REFUSED}
    assert after.told["duplicate"] == len(sent_before)


def test_a_dicomdir_leads_nowhere_but_below_itself(after: Aftermath) -> None:
    reasons = [r["reason"] for r in after.told["refused"] if "DICOMDIR -> " in r["path"]]
    assert reasons == [
        "the reference in the DICOMDIR leads out of the medium",
        "the reference in the DICOMDIR has too many components",
        "named in the DICOMDIR and missing on the medium",
    ]


def test_nothing_is_written_outside_the_archive(after: Aftermath) -> None:
    """No path made of a patient ID, a UID, a file name in a ZIP; no file of such a name inside."""
    added = everything_beside(after.archive) - after.around
    exported = {p for p in added if p.is_relative_to(after.base / "out")}
    assert added - exported <= {after.base / "state"}
    for place in (Path(tempfile.gettempdir()), Path.cwd(), Path.home(), Path("/"), after.base):
        assert not list(place.glob(f"*{after.token}*")), place
    inside = [p for p in after.archive.paths.root.rglob("*") if p.is_file()]
    assert not [p for p in inside if after.token in p.name or SECRET in p.name]


def test_exported_files_are_named_by_number_alone(after: Aftermath) -> None:
    shape = re.compile(r"ST\d{6}/SE\d{6}/IM\d{6}\.dcm")
    for stored in after.kept:
        assert shape.fullmatch(str(stored.path.relative_to(after.base / "out")))


def test_a_program_in_the_preamble_leaves_as_zeros(after: Aftermath) -> None:
    """It is kept in the stored bytes, and goes to nobody."""
    source = after.paths["a program as preamble"].read_bytes()
    (stored,) = (s for s in after.kept if s.dataset_sha256 == sha256(dataset_of(source)))
    assert stored.path.read_bytes() == bytes(128) + source[128:]
    files = after.archive.paths.objects.rglob("*")
    assert source in [path.read_bytes() for path in files if path.is_file()]


def test_the_log_names_no_patient_and_obeys_nobody(after: Aftermath) -> None:
    log = after.archive.paths.log.read_bytes().decode()
    assert "refused" in log
    assert SECRET not in log
    assert after.token not in log
    assert "Traceback" not in log
    assert "incident" not in log
    assert not _CONTROLS.findall(log)
    for reason in after.archive.paths.quarantine.glob("*.txt"):
        assert SECRET not in reason.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("find",),
        ("find", "--level", "patient"),
        ("find", "--level", "series"),
        ("find", "--level", "instance"),
        ("audit", "list"),
        ("jobs", "show", "1"),
        ("status",),
    ],
    ids=" ".join,
)
def test_what_commands_print_has_no_control_characters(
    after: Aftermath, words: tuple[str, ...]
) -> None:
    result = run(after.archive, *words)
    assert result.out.count("\n") > 2
    assert not _CONTROLS.findall(result.out + result.err)


def test_show_has_no_control_characters_and_json_is_exact(after: Aftermath) -> None:
    """The hostile study by its UID: pictures of controls for people, escapes in JSON."""
    rows = run(after.archive, "find", "--json").json
    evil = [row for row in rows if "[bold red]" in row["PatientName"]]
    assert len(evil) == 1
    shown = run(after.archive, "show", evil[0]["StudyInstanceUID"]).out
    assert not _CONTROLS.findall(shown)
    assert "\u241b[2J" in shown
    assert "[bold red]x[/]" in shown
    raw = run(after.archive, "show", evil[0]["StudyInstanceUID"], "--json").out
    assert not _CONTROLS.findall(raw)
    assert raw.isascii()


def test_sql_in_an_identifier_is_only_text(after: Aftermath) -> None:
    """The quote, ``%`` and ``_`` are found as they are, and match nothing else."""
    for words in ("DROP TABLE", "--%_", "'; drop", "%_"):
        found = run(after.archive, "find", "--level", "patient", "--json", "--", words).json
        assert [row["PatientID"][:15] for row in found] == ["'; DROP TABLE i"], words


def test_the_same_daemon_still_receives(after: Aftermath) -> None:
    assert after.archive.pid == after.pid
    assert after.archive.process is not None
    assert after.archive.process.poll() is None
    assert send(after.archive, hostile.make(), hostile.EXPLICIT) == (0, "")


@pytest.mark.parametrize(
    "title",
    [b"../../etc/passwd", b"\x1b[31mRED", b"'; DROP TABLE --", b"\xe2\x80\xaeLIVE", b"[bold]x[/]"],
)
def test_a_hostile_calling_ae_title_reaches_no_log_and_no_path(
    after: Aftermath, title: bytes
) -> None:
    """Accepted or rejected; shown cleaned; the archive goes on."""
    with RawPeer(after.archive.port) as peer:
        reply = peer.associate([ECHO_CONTEXT], calling=title)
        assert reply.kind in ("accept", "reject")
        if reply.kind == "accept":
            assert peer.echo() == 0
            peer.release()
    assert not _CONTROLS.findall(after.archive.paths.log.read_bytes().decode())
    assert not _CONTROLS.findall(run(after.archive, "audit", "list").out)
