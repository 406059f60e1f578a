"""A person sends a study from a terminal while the other archive stops and comes back."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.e2e.daemon_fixture import ADMIN, PASSWORD, ArchiveFactory
from tests.e2e.proof import dataset_of, run
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.ports import unused_port
from tuipacs.domain.uid import new_uid

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]
PATIENCE = 40.0  # seconds
OBJECTS, PIXELS = 24, 256 * 256  # of 128 KiB
KIB_A_SECOND = 800


class Tmux:
    """``tuipacs`` in a tmux of its own, 80x24."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self._tmux = ("tmux", "-f", "/dev/null", "-S", str(folder / "tmux"))
        command = shlex.join([sys.executable, "-m", "tuipacs", "--graphics", "off"])
        environment = {**os.environ, "TUIPACS_ARCHIVE": str(archive), "HOME": str(folder)}
        self._call("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command, env=environment)

    def _call(self, *words: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, check=True, env=env)
        return done.stdout.decode()

    def screen(self) -> str:
        """What is on it."""
        return self._call("capture-pane", "-p", "-t", "t")

    def waits_for(self, words: str) -> None:
        """Until they are on the screen."""
        wait_until(lambda: words in self.screen(), lambda: f"no {words!r} on\n{self.screen()}")

    def types(self, *keys: str) -> None:
        """Keys by their tmux names, or text."""
        for key in keys:
            self._call("send-keys", "-t", "t", key)

    def close(self) -> None:
        """End it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


def wait_until(condition: Callable[[], object], words: Callable[[], str]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, words()
        time.sleep(0.1)


@pytest.fixture
def tmux(running_archive: ArchiveFactory, tmp_path: Path) -> Iterator[Callable[[Path], Tmux]]:
    opened: list[Tmux] = []

    def start(archive: Path) -> Tmux:
        opened.append(Tmux(archive.parent, archive))  # a socket's path has to be short
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def count(orthanc: Orthanc) -> int:
    return int(orthanc.ask("GET", "/statistics")["CountInstances"])


def test_a_job_sent_from_the_screen_outlives_the_end_of_its_destination(
    running_archive: ArchiveFactory, tmux: Callable[[Path], Tmux], tmp_path: Path
) -> None:
    archive = running_archive(start=False)
    settings = archive.paths.config.read_text()
    quick = re.sub(r"(?m)^#? ?first_delay = .*$", "first_delay = 1", settings)
    assert quick != settings
    archive.paths.config.write_text(quick)
    archive.start()

    study, sent = new_uid(), {}
    for number in range(OBJECTS):
        one = make_dataset(StudyInstanceUID=study, InstanceNumber=number, PatientName="Doe^Jane")
        one.Rows = one.Columns = 256
        one.PixelData = os.urandom(2 * PIXELS)
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10_bytes(one))
        sent[str(one.SOPInstanceUID)] = dataset_of(path.read_bytes())
    run(archive, "import", *(str(path) for path in tmp_path.glob("*.dcm")))

    folder = tmp_path / "orthanc"
    folder.mkdir()
    ports = {"HttpPort": unused_port(), "DicomPort": unused_port(), "UnknownSopClassAccepted": True}
    where = ("--host", "127.0.0.1", "--port", str(ports["DicomPort"]))
    run(archive, "node", "add", "ORTHANC", *where, "--rate", str(KIB_A_SECOND))

    screen = tmux(archive.paths.root)
    with running_orthanc(folder, ports) as orthanc:
        screen.waits_for("Log in")
        screen.types(ADMIN, "Tab", PASSWORD, "Enter")
        screen.waits_for("Doe^Jane")
        screen.types("s")
        screen.waits_for("To")
        screen.waits_for("ORTHANC")
        screen.types("Tab", "Tab", "Tab", "Enter")  # past the nodes' choices to Send
        wait_until(lambda: count(orthanc) >= 3, screen.screen)
        screen.types("g", "j")
        screen.waits_for("running")
    assert f"{OBJECTS}/{OBJECTS}" not in screen.screen()
    screen.waits_for("waiting")
    with running_orthanc(folder, ports) as orthanc:
        screen.waits_for(f"{OBJECTS} of {OBJECTS} objects sent")
        assert count(orthanc) == OBJECTS
        back = {}
        for key in orthanc.ask("GET", "/instances"):
            about = orthanc.ask("GET", f"/instances/{key}/simplified-tags")
            file = orthanc.fetch(f"/instances/{key}/file")
            back[about["SOPInstanceUID"]] = dataset_of(file)
    assert back == sent
