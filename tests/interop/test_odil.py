"""Debian's odil as a client: it has its own encoder over DCMTK's network, and no TLS in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SYSTEM_PYTHON
from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.drivers import drive
from tests.interop.samples import (
    ANY,
    NAME,
    as_one_study,
    check_what_came_back,
    destination,
    kept,
    keys_for,
    two_patients,
)
from tests.interop.tap import Tap
from tests.ports import unused_port

pytestmark = pytest.mark.odil
CLIENT = Path(__file__).parent / "odil_client.py"
PLAIN = ["CT_small.dcm", "MR_small.dcm"]


def odil(port: int, called: str = "TUIPACS", **asked: object) -> Any:
    """Have odil do what is asked; what it says."""
    return drive([SYSTEM_PYTHON, str(CLIENT)], port, called, asked)


def test_stores_every_transfer_syntax_over_one_association(
    archive: RunningArchive, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    paths = [str(path) for path in files.values()]
    assert odil(tap.port, files=paths) == {"echo": "answered", "stored": paths}
    assert check_what_came_back(archive, tap, tmp_path / "out", study) == set(files)


def test_is_told_that_it_calls_somebody_else(archive: RunningArchive) -> None:
    assert odil(archive.port, called="SOMEBODY") == {"refused": "Association rejected"}


def test_finds_the_study_by_a_name_beyond_ascii(archive: RunningArchive, tmp_path: Path) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    said = odil(archive.port, files=[str(path) for path in paths], find=keys_for(patient_id))
    (found,) = said["found"]
    assert {tag: element.get("Value") for tag, element in found.items()} == {
        "00080005": ["ISO_IR 192"],
        "00080052": ["STUDY"],
        "00080054": ["TUIPACS"],
        "00080061": ["CT", "PT"],
        "00100010": [{"Alphabetic": NAME}],
        "00100020": [patient_id],
        "0020000d": [study],
        "00201208": [2],
    }


def test_gets_a_study_on_its_own_association(
    archive: RunningArchive, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, PLAIN)
    said = odil(tap.port, files=[str(path) for path in files.values()], get=study)
    assert set(said["got"]) == set(files)
    assert tap.given() == kept(archive, tmp_path / "out", study)


def test_has_a_study_moved_to_itself(archive: RunningArchive, tmp_path: Path) -> None:
    study, files = as_one_study(tmp_path, PLAIN)
    port = unused_port()
    with destination(archive, "ODILDEST", port) as line:
        move = {"study": study, "destination": "ODILDEST", "port": port}
        said = odil(archive.port, files=[str(path) for path in files.values()], move=move)
        assert set(said["moved"]) == set(files)
        assert line.stored() == kept(archive, tmp_path / "out", study)
