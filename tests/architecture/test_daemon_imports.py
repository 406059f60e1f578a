"""The daemon is headless: it runs where no terminal library is, and starts without one."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("tuipacs.daemon", ("textual", "rich", "typer", "textual_image", "httpx", "tuipacs.ui")),
        ("tuipacs.api.app", ("textual", "tuipacs.ui", "tuipacs.client")),
        ("tuipacs.client.connection", ("pydicom", "peewee", "apsw", "starlette", "numpy")),
        ("tuipacs.__main__", ("textual", "typer", "httpx", "pydicom", "numpy", "msgspec")),
    ],
)
def test_a_module_loads_without_what_it_must_not_need(
    module: str, forbidden: tuple[str, ...]
) -> None:
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.splitlines())
    assert loaded.isdisjoint(forbidden), sorted(loaded.intersection(forbidden))
