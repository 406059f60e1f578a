"""What all tests share: the real daemon, and skipping for tools that are not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.daemon_fixture import running_archive  # noqa: F401 - a fixture for all

_PROGRAMS = {
    "dcmtk": ("storescu", "echoscu", "dcmdump", "dcmj2pnm", "dcm2json"),
    "orthanc": ("Orthanc",),
}


def _missing(mark: str) -> list[str]:
    return [program for program in _PROGRAMS[mark] if shutil.which(program) is None]


@pytest.fixture(autouse=True)
def _tools_are_there(request: pytest.FixtureRequest) -> Iterator[None]:
    """Skip a marked test without its tool; on CI that is a failure: nothing goes unproven."""
    for mark in _PROGRAMS:
        if request.node.get_closest_marker(mark) and (missing := _missing(mark)):
            reason = f"{mark} is not installed: {', '.join(missing)}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
    yield
