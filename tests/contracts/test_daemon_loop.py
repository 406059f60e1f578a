"""The daemon's loop over an archive that fails in ways a real one hardly can be made to."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.api_server import FakeServices
from tuipacs.api.server import bind_control_socket
from tuipacs.daemon import _Daemon
from tuipacs.errors import UnavailableError
from tuipacs.paths import ArchivePaths
from tuipacs.services.wakeups import Wakeups


class FakeArchive:
    """Starts what a test wants it to start."""

    def __init__(self, root: Path, start: Callable[[], None]) -> None:
        self.paths = ArchivePaths(root)
        self.services = FakeServices()
        self.wakeups = Wakeups()
        self.on_stop: Callable[[], None] = lambda: None
        self._start = start
        self.stopped = False

    def start(self) -> None:
        self._start()

    def stop(self, seconds: float) -> None:
        self.stopped = True


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tp") as path:
        yield Path(path)


def serve(archive: Any) -> int:
    control = bind_control_socket(archive.paths.socket)
    try:
        return asyncio.run(_Daemon(archive).serve(control))
    finally:
        control.close()


def dying_thread(name: str) -> Callable[[], None]:
    def die() -> None:
        raise KeyError("DOE^JANE")

    return lambda: threading.Thread(target=die, name=name).start()


@pytest.mark.parametrize("name", ["jobs", "dicom-listener"])
def test_a_deaf_archive_ends_with_a_failure_so_that_it_is_started_again(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    archive = FakeArchive(folder, dying_thread(name))
    with caplog.at_level(logging.INFO):
        assert serve(archive) == 1
    assert archive.stopped
    assert f"stopping: thread {name} is gone" in caplog.text


def test_the_death_of_one_association_is_logged_and_ends_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = FakeArchive(folder, lambda: None)

    def start() -> None:
        dying_thread("dicom-association")()
        threading.Timer(0.2, archive.on_stop).start()

    archive._start = start
    with caplog.at_level(logging.INFO):
        assert serve(archive) == 0
    assert "thread dicom-association ended by an error of its own" in caplog.text
    assert "stopping: a request to stop" in caplog.text


def test_a_failed_start_is_told_to_the_caller(folder: Path) -> None:
    def start() -> None:
        raise UnavailableError("port 104 is in use")

    with pytest.raises(UnavailableError, match="port 104"):
        serve(FakeArchive(folder, start))
