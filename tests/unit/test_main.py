"""Which way in: the UI for nothing and for its own options, the commands for all else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tuipacs.__main__ import _screen_options


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--archive", "/a"], {"--archive": "/a"}),
        (["--archive=/a b"], {"--archive": "/a b"}),
        (["--graphics", "sixel", "--archive", "x"], {"--graphics": "sixel", "--archive": "x"}),
        (["--archive"], None),
        (["--archive", "--json"], None),
        (["--archive="], None),
        (["--graphics", "vector"], None),
        (["--help"], None),
        (["--version"], None),
        (["status"], None),
        (["--archive", "/a", "status"], None),
        (["statsu"], None),
    ],
)
def test_the_ui_is_for_its_own_options_only(
    arguments: list[str], options: dict[str, str] | None
) -> None:
    assert _screen_options(arguments) == options


def test_without_a_terminal_the_ui_says_so_having_loaded_next_to_nothing() -> None:
    program = (
        "import sys\n"
        "from tuipacs.__main__ import main\n"
        "code = main([])\n"
        "heavy = {'typer', 'httpx', 'pydicom', 'numpy', 'textual', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else code)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert run.returncode == 2, run.stderr
    assert "need a terminal" in run.stderr
