"""The doctor is right about a fresh installation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tuipacs.cli.checks import PACKAGES

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_doctor_misses_no_package_that_a_plain_install_does_not_bring() -> None:
    """A tool of the tests is no part of a hospital's installation."""
    wanted = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    brought = {re.split(r"[^A-Za-z0-9_.-]", each)[0] for each in wanted}
    assert set(PACKAGES) <= brought
