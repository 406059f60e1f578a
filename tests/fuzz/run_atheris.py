"""Coverage-guided fuzzing of one target: ``python tests/fuzz/run_atheris.py TARGET --seconds 300``.

atheris (https://github.com/google/atheris) is no dependency of this project: install it into an
environment of its own, beside the project. What it finds is put into tests/fuzz/corpus/TARGET/,
where the regression test replays it; ``--keep`` also puts there the smallest set of inputs that
reaches the same code. Finds are bytes mutated from ours and from pydicom's public test files.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS_AN_INPUT = 5
MEMORY_MB = 1024
LARGEST_INPUT = 8192  # bytes
KEPT_FILES, KEPT_SIZE = 30, 1500  # of a target that ``--keep`` leaves; each in bytes at most
INNER = "TUIPACS_FUZZ_TARGET"  # in the environment of a process that fuzzes


def main() -> int:
    """Parse the arguments and fuzz; 1 if something was found, 2 without atheris."""
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.targets import TARGETS

    if INNER in os.environ:
        return _fuzz(os.environ[INNER])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="keep inputs that reach much code")
    parser.add_argument(
        "--work", type=Path, help="folder for the grown corpus (default: a new one)"
    )
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stdout.write(
            "atheris is not installed here: pip install atheris (Linux, CPython 3.11 to 3.13)\n"
        )
        return 2
    with tempfile.TemporaryDirectory() as fallback:
        return _supervise(options, (options.work or Path(fallback)).resolve())


def _fuzz(name: str) -> int:
    """In a process of its own, which libFuzzer ends, and starts again by the same arguments."""
    import atheris

    from tests.fuzz.targets import TARGETS

    packages = ["tuipacs.dicom", "tuipacs.dimse", "tuipacs.domain"]
    for module in [m for m in sys.modules if m.startswith(("tuipacs.", "tests.fuzz"))]:
        del sys.modules[module]  # to be imported again, instrumented
    with atheris.instrument_imports(include=packages):
        from tests.fuzz import targets
    assert targets.TARGETS.keys() == TARGETS.keys()
    again = f"{shlex.quote(sys.executable)} {shlex.quote(sys.argv[0])}"  # a shell command to it
    atheris.Setup([again, *sys.argv[1:]], targets.TARGETS[name])
    atheris.Fuzz()
    return 0


def _supervise(options: argparse.Namespace, work: Path) -> int:
    from tests.fuzz.targets import CORPUS, seeds

    grown, found, least = work / "grown", work / "found", work / "least"
    for folder in (grown, found, least):
        folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(options.target):
        (grown / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    limits = (f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MEMORY_MB}")
    sizes = f"-max_len={LARGEST_INPUT}"
    time = f"-max_total_time={options.seconds}"
    end = _run(options.target, time, sizes, *limits, f"-artifact_prefix={found}/", str(grown))
    home = CORPUS / options.target
    home.mkdir(parents=True, exist_ok=True)
    finds = [path for path in found.iterdir() if path.is_file()]
    for path in finds:
        shutil.move(path, home / path.name)
        sys.stdout.write(f"FOUND {home / path.name}\n")
    if options.keep and not finds:
        _run(options.target, "-merge=1", sizes, *limits, str(least), str(grown))
        small = [path for path in least.iterdir() if path.stat().st_size <= KEPT_SIZE]
        small.sort(key=lambda path: path.stat().st_size)
        for path in small[:: -(-len(small) // KEPT_FILES)]:
            (home / path.name[:16]).write_bytes(path.read_bytes())
    return 1 if finds or end else 0


def _run(target: str, *arguments: str) -> int:
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    environment = {**os.environ, INNER: target}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
