"""Clients that are programs of another language: told by JSON what to do, and what they say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any


def drive(command: Sequence[str], port: int, called: str, asked: dict[str, object]) -> Any:
    """Run a client against the archive on ``port``, called by its AE title."""
    done = subprocess.run(
        command,
        input=json.dumps({"port": port, "called": called, **asked}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
