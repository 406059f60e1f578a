"""C-MOVE by DCMTK's movescu: objects go out as they came in, and everybody is told how it went."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_study
from tests.dimse.retrieving import Source, storescp
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import NodeService

pytestmark = pytest.mark.dcmtk


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("move"), unknown=UnknownCallers.ECHO)
    archive.know("ASKING", NodeService.ECHO, NodeService.MOVE)
    yield archive
    archive.close()


def movescu(archive: Source, to: str, *keys: str, options: str = "-S") -> str:
    """Ask for what these keys name; all that movescu says."""
    words = [part for key in keys for part in ("-k", key)]
    called = ("-aec", "TUIPACS", "127.0.0.1", str(archive.port))
    done = subprocess.run(
        ["movescu", "-d", *options.split(), "-aet", "ASKING", "-aem", to, *words, *called],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr + done.stdout


def status(said: str) -> str:
    """Of the final answer, as movescu -d dumps it: "0x0000: Success"."""
    return re.findall(r"DIMSE Status +: (.*)", said)[-1]


def test_a_study_arrives_as_it_came(archive: Source, tmp_path: Path) -> None:
    study = make_study(2, 3)
    kept = archive.keep_all(study)
    archive.keep_all(make_study(1, 1))
    with storescp(tmp_path / "in") as receiver:
        archive.destination("DEST", receiver.port)
        said = movescu(archive, "DEST", "0008,0052=STUDY", f"0020,000d={study[0].StudyInstanceUID}")
        assert status(said).startswith("0x0000"), said
        assert receiver.received() == kept
