"""What the end-to-end proofs share: commands, an independent eye for files, the whole check.

Nothing of the archive is asked about its own bytes: Part 10 files are split here by hand, rows are
recounted by a separate SQLite connection, and only then compared with what the archive says.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from tests.e2e.daemon_fixture import ADMIN, PASSWORD, RunningArchive
from tests.e2e.zygote import Program, start_command

REPOSITORY = Path(__file__).resolve().parents[2]

_COUNTERS = {
    "total": """SELECT (SELECT count(*) FROM patient), (SELECT count(*) FROM study),
        (SELECT count(*) FROM series), (SELECT count(DISTINCT sop_instance_uid) FROM instance),
        (SELECT coalesce(sum(header_size + dataset_size), 0) FROM instance)
        EXCEPT SELECT patients, studies, series, instances, bytes FROM total""",
    "series": """SELECT s.id FROM series s LEFT JOIN instance i ON i.series = s.id GROUP BY s.id
        HAVING s.instances <> count(DISTINCT i.sop_instance_uid)
            OR s.bytes <> coalesce(sum(i.header_size + i.dataset_size), 0) OR count(i.id) = 0""",
    "study": """SELECT t.id FROM study t LEFT JOIN series s ON s.study = t.id GROUP BY t.id
        HAVING t.series <> count(s.id) OR t.instances <> (SELECT count(DISTINCT sop_instance_uid)
            FROM instance i JOIN series r ON r.id = i.series WHERE r.study = t.id)
            OR t.bytes <> coalesce(sum(s.bytes), 0) OR count(s.id) = 0""",
    "patient": """SELECT p.id FROM patient p LEFT JOIN study t ON t.patient = p.id GROUP BY p.id
        HAVING p.studies <> count(t.id) OR p.series <> coalesce(sum(t.series), 0)
            OR p.instances <> (SELECT count(DISTINCT sop_instance_uid) FROM instance i JOIN
            series r ON r.id = i.series JOIN study y ON y.id = r.study WHERE y.patient = p.id)
            OR p.bytes <> coalesce(sum(t.bytes), 0) OR count(t.id) = 0""",
    "modality_use": """SELECT u.modality FROM modality_use u
        LEFT JOIN series s ON s.modality = u.modality GROUP BY u.modality
        HAVING u.series <> count(s.id) OR u.instances <> coalesce(sum(s.instances), 0)
            OR u.bytes <> coalesce(sum(s.bytes), 0)""",
    "study_search": """SELECT t.id FROM study t LEFT JOIN study_search x ON x.study = t.id
        WHERE x.study IS NULL OR x.patient <> t.patient OR x.flags <> t.flags""",
    "change": """SELECT i.id FROM instance i
        LEFT JOIN change c ON c.instance = i.id GROUP BY i.id HAVING count(c.seq) <> 1""",
}
"""Queries that find what is counted wrongly; each must find nothing."""


@dataclass(frozen=True)
class Stored:
    """One exported object."""

    path: Path
    sop_instance_uid: str
    dataset_sha256: str


@dataclass(frozen=True)
class Result:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


def in_background(
    archive: RunningArchive, *words: str, user: str = ADMIN, password: str = PASSWORD
) -> Program | subprocess.Popen[bytes]:
    """One command that goes on while the test does; it logs in by its environment."""
    variables = {
        "TUIPACS_ARCHIVE": str(archive.paths.root),
        "TUIPACS_USER": user,
        "TUIPACS_PASSWORD": password,
        "XDG_STATE_HOME": str(archive.paths.root.parent / "state"),
    }
    return start_command(words, {**os.environ, **variables})


def finished(command: Program | subprocess.Popen[bytes], seconds: float = 60) -> Result:
    """Wait for a command."""
    out, err = command.communicate(timeout=seconds)
    return Result(command.returncode, out.decode(), err.decode())


def run(archive: RunningArchive, *words: str) -> Result:
    """One command of the administrator, which has to succeed."""
    result = finished(in_background(archive, *words))
    assert result.code == 0, (words, result)
    return result


def dataset_of(part10: bytes) -> bytes:
    """The dataset of a Part 10 file: what follows group 0002, walked element by element."""
    assert part10[128:132] == b"DICM"
    at = 132
    while part10[at : at + 2] == b"\x02\x00":
        long = part10[at + 4 : at + 6] in (b"OB", b"UN", b"SQ", b"UT", b"UC", b"UR", b"OW")
        size = part10[at + 8 : at + 12] if long else part10[at + 6 : at + 8]
        at += (12 if long else 8) + int.from_bytes(size, "little")
    return part10[at:]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def export(archive: RunningArchive, folder: Path, uids: Iterable[str]) -> list[Stored]:
    """``tuipacs export`` into a new folder; every file that then lies there is one it named."""
    told: list[dict[str, Any]] = run(archive, "export", *uids, "--to", str(folder), "--json").json
    assert {Path(row["path"]) for row in told} == {p for p in folder.rglob("*") if p.is_file()}
    return [
        Stored(
            Path(row["path"]),
            row["SOPInstanceUID"],
            sha256(dataset_of(Path(row["path"]).read_bytes())),
        )
        for row in told
    ]


def export_all(archive: RunningArchive, folder: Path) -> list[Stored]:
    """Everything in the archive."""
    studies = run(archive, "find", "--json").json
    uids = {row["StudyInstanceUID"] for row in studies}
    return export(archive, folder, sorted(uids)) if uids else []


def check_index(archive: RunningArchive) -> list[tuple[str, str]]:
    """Check rows against files and counters against a recount; (UID, SHA-256) of each object."""
    connection = apsw.Connection(str(archive.paths.index), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        for name, query in _COUNTERS.items():
            assert connection.execute(query).fetchall() == [], f"{name} is counted wrongly"
        rows = connection.execute(
            "SELECT blob_key, sop_instance_uid, dataset_sha256 FROM instance"
        ).fetchall()
    finally:
        connection.close()
    objects = archive.paths.objects
    files = {str(path.relative_to(objects)): path for path in objects.rglob("*") if path.is_file()}
    assert files.keys() == {key for key, _, _ in rows}, "files and rows are not the same"
    for key, _, digest in rows:
        assert sha256(dataset_of(files[key].read_bytes())) == digest.hex()
    return [(uid, digest.hex()) for _, uid, digest in rows]


def check_whole(archive: RunningArchive, folder: Path) -> list[Stored]:
    """Check a running archive from end to end; return every object in it.

    Beside `check_index`: ``status`` says the same, the audit chain verifies, and every object can
    be exported with the bytes that its row promises.
    """
    there = check_index(archive)
    status = run(archive, "status", "--json").json
    verified = run(archive, "audit", "verify", "--json").json
    assert verified["ok"], verified
    kept = export_all(archive, folder)
    assert sorted((s.sop_instance_uid, s.dataset_sha256) for s in kept) == sorted(there)
    assert status["totals"]["instances"] == len({s.sop_instance_uid for s in kept})
    assert status["read_only"] == ""
    return kept
