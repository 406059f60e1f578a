"""One archive for all of these tests in a process, and a tap on its line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.interop.tap import Tap


@pytest.fixture(scope="session")
def archive() -> Iterator[RunningArchive]:
    """A daemon that stores from anyone. Tests share it: each sends objects of its own."""
    base = Path(tempfile.mkdtemp(prefix="tp"))  # a Unix socket's path must be short
    running = new_archive(base / "a")
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(base)


@pytest.fixture
def tap(archive: RunningArchive) -> Iterator[Tap]:
    """Connect to its port instead of the archive's, and it knows what was sent."""
    line = Tap(archive.port)
    yield line
    line.close()
