"""Everything that must hold before a change lands, in one command: ``python tests/run.py``.

Format, lint, types, import contracts, then the tests on all cores. Stops at the first that fails.
Arguments go to pytest: ``python tests/run.py -k audit``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent

WORKERS = 2 * (os.cpu_count() or 1)
"""Half of the time a test waits: for another process, the disk, a terminal."""

PYTEST = (sys.executable, "-m", "pytest")
CHECKS: tuple[tuple[str, ...], ...] = (
    (sys.executable, "-m", "ruff", "format", "--check", "."),
    (sys.executable, "-m", "ruff", "check", "."),
    (sys.executable, "-m", "mypy"),
    (str(TOOLS / "lint-imports"),),
    (*PYTEST, "-n", str(WORKERS), "--dist", "loadscope", "-m", "not long", "-q"),
)


def main() -> int:
    """Run the checks in order; return the first exit status that is not 0."""
    for check in CHECKS:
        command = [*check, *(sys.argv[1:] if "pytest" in check else ())]
        print("$", " ".join(Path(part).name for part in command), flush=True)
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
