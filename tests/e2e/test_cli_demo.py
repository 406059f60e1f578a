"""``tuipacs demo --headless``: everything is there when it says ready, and nothing afterwards."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cli_harness import LIMIT, Cli
from tuipacs.demo.demo import PASSWORD


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demo makes its folder; short, because a Unix socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="tp"))
    yield folder
    shutil.rmtree(folder)


@contextmanager
def _demo(temporary: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Called in a folder that holds a module of a name that is ours to import."""
    trap = tempfile.TemporaryDirectory()
    (Path(trap.name) / "pydicom.py").write_text("raise SystemExit('code from the folder ran')\n")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tuipacs", "demo", "--headless", *options],
        cwd=trap.name,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(temporary)},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, errors = process.communicate()
        trap.cleanup()
        assert errors == ""


def _directions(process: subprocess.Popen[str]) -> dict[str, str]:
    """What a demo says until it is ready, by name."""
    said = {}
    assert process.stdout is not None
    for line in process.stdout:
        name, _, value = line.rstrip("\n").partition(": ")
        said[name] = value
        if name == "ready":
            break
    return said


def _gone(folder: Path) -> bool:
    deadline = time.monotonic() + LIMIT
    while any(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(folder.iterdir())


def test_a_demo_serves_real_studies_and_leaves_nothing_behind(temporary: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = str(taken.getsockname()[1])
        with _demo(temporary, "--port", wanted) as process:
            said = _directions(process)
            assert "ready" in said
            assert said["port"] != wanted
            assert shutil.which(shlex.split(said["look"])[0])  # on the path or not, as it is here
            _look_around(Cli(Path(said["archive"]), temporary))
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
    assert not any(temporary.iterdir())


def _look_around(cli: Cli) -> None:
    viewer, admin = ({"TUIPACS_USER": n, "TUIPACS_PASSWORD": PASSWORD} for n in ("viewer", "admin"))
    patients = cli.run("find", "--level", "patient", "--json", **viewer).json
    names = {row["PatientName"] for row in patients}
    assert {"DEMO^ALICE", "DEMO^HANAKO=デモ^花子=でも^はなこ", "ДЕМО^ИВАН"} <= names
    assert len(patients) > 30
    status = cli.run("status", "--json", **admin).json
    assert status["health"]["receiving"]
    assert status["health"]["host"] == "127.0.0.1"
    assert PASSWORD in status["health"]["login_hint"]
    jobs = cli.run("jobs", "list", "--json", **admin).json
    assert sum(job["refused"] for job in jobs) == 0


def test_a_demo_that_is_killed_is_cleaned_up_all_the_same(temporary: Path) -> None:
    with _demo(temporary) as process:
        while not list(temporary.glob("*/inbox")):  # its second process is at work
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait(LIMIT)
        assert _gone(temporary)
