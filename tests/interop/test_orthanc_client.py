"""Another archive that echoes, sends and asks: Orthanc, over DCMTK's network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.interop.samples import ANY, as_one_study, check_what_came_back
from tests.interop.tap import Tap

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), {}) as running:
        yield running


def upload(orthanc: Orthanc, files: dict[str, Path]) -> str:
    """Put the files of one study into Orthanc; its name for the study."""
    parents = {
        orthanc.ask("POST", "/instances", path.read_bytes())["ParentStudy"]
        for path in files.values()
    }
    (study,) = parents
    return str(study)


def test_echoes_and_sends_a_study_of_many_transfer_syntaxes(
    archive: RunningArchive, orthanc: Orthanc, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    orthanc.know("archive", "TUIPACS", tap.port)
    orthanc.ask("POST", "/modalities/archive/echo", {})
    sent = orthanc.ask("POST", "/modalities/archive/store", [upload(orthanc, files)])
    assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (len(files), 0)
    assert check_what_came_back(archive, tap, tmp_path / "out", study) == set(files)


def test_is_told_that_it_calls_somebody_else(archive: RunningArchive, orthanc: Orthanc) -> None:
    orthanc.know("somebody", "SOMEBODY", archive.port)
    with pytest.raises(httpx.HTTPStatusError, match="500"):
        orthanc.ask("POST", "/modalities/somebody/echo", {})
