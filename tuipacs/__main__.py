"""``python -m tuipacs`` and the command ``tuipacs``.

Without a command it is the UI, which paints first and loads the rest later: nothing but the
standard library and `tuipacs.paths` is imported on that way in.
"""

from __future__ import annotations

import sys
from pathlib import Path

GRAPHICS = ("auto", "kitty", "sixel", "half", "off")


def main(argv: list[str] | None = None) -> int:
    """Run the UI, or a command; return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    options = _screen_options(arguments)
    if options is None:
        from tuipacs.cli.app import main as run_command

        return run_command(arguments)
    from tuipacs.paths import archive_paths
    from tuipacs.ui.app import run

    archive = options.get("--archive")
    return run(
        archive_paths(Path(archive) if archive else None),
        graphics=options.get("--graphics", "auto"),
    )


def _screen_options(arguments: list[str]) -> dict[str, str] | None:
    """The UI's options, or None if this is not plainly a call of the UI: then the CLI looks."""
    options: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--archive", "--graphics"):
            return None
        value = value if equals else next(words, "")
        if not value or value.startswith("-") or (name == "--graphics" and value not in GRAPHICS):
            return None
        options[name] = value
    return options


if __name__ == "__main__":
    sys.exit(main())
