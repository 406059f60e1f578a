"""What all tests share: the real daemon, and skipping for tools that are not there."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess

import pytest

from tests.e2e.daemon_fixture import running_archive  # noqa: F401 - a fixture for all

SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's own, which finds Debian's Python modules; the tests run in a virtual environment."""

_PROGRAMS = {
    "dcmtk": ("storescu", "echoscu", "dcmdump", "dcmj2pnm", "dcm2json"),
    "orthanc": ("Orthanc",),
    "odil": (SYSTEM_PYTHON,),
    "node": ("node",),
}
_MODULES = {
    "odil": ("odil (package python3-odil)", (SYSTEM_PYTHON, "-c", "import odil")),
    "node": ("dcmjs-dimse in NODE_PATH", ("node", "-e", "require.resolve('dcmjs-dimse')")),
}
"""What a mark needs beside its programs, and a command that fails without it."""


@functools.cache
def _missing(mark: str) -> list[str]:
    missing = [program for program in _PROGRAMS[mark] if shutil.which(program) is None]
    if not missing and mark in _MODULES:
        module, command = _MODULES[mark]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            missing.append(module)
    return missing


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: a third of the screens' time.

    Modules and thousands of collected tests are looked at no more, and the rest less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a marked test without its tool, before any fixture; on CI that is a failure.

    Nothing goes unproven there.
    """
    for mark in _PROGRAMS:
        if item.get_closest_marker(mark) and (missing := _missing(mark)):
            reason = f"{mark} is not installed: {', '.join(missing)}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
