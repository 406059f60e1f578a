"""The entry of the terminal UI. Nothing heavy is imported before the terminal was asked."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from tuipacs.paths import ArchivePaths, theme_dirs, user_config_dir

if TYPE_CHECKING:
    from tuipacs.ui.desk import ArchiveLink


def run(archive: ArchivePaths, *, graphics: str = "auto", is_demo: bool = False) -> int:
    """Show the UI of one archive until the person leaves; returns the exit code.

    ``graphics`` is auto, kitty, sixel, half or off. The archive is made and its daemon started
    when they are not there. With ``is_demo`` the archive ends with its UI, and says so.
    """
    if not (_is_terminal(sys.__stdin__) and _is_terminal(sys.__stdout__)):
        sys.stderr.write(
            "tuipacs: the screens need a terminal; without one use the commands,"
            " for example: tuipacs find\n"
        )
        return 2
    if not _is_terminal(sys.__stderr__):
        # Textual draws on the standard error stream; a log file is no screen.
        setattr(sys, "__stderr__", sys.__stdout__)  # noqa: B010 - typed as final
    from tuipacs.ui.collector import Collector

    collector = Collector()
    collector.start()
    from tuipacs.ui.graphics.choice import Protocol
    from tuipacs.ui.graphics.probe import probe_terminal
    from tuipacs.ui.notice import Notice

    ahead = threading.Thread(target=_import_ahead, daemon=True)
    ahead.start()
    notice = Notice(sys.stdout.fileno())
    probe = probe_terminal(Protocol(graphics), while_waiting=notice.show)
    ahead.join()
    os.environ["TEXTUAL_COLOR_SYSTEM"] = probe.choice.colour_depth.value  # read at its import

    from tuipacs.ui.application import TuipacsApp
    from tuipacs.ui.launcher import Launcher

    app = TuipacsApp(
        Launcher(archive, is_demo=is_demo),
        probe=probe,
        make_link=lambda: _connect(archive),
        theme_folders=theme_dirs(),
        preferences_file=user_config_dir() / "screens.json",
        collector=collector,
    )
    notice.clear()
    app.run()
    return app.return_code or 0


def _import_ahead() -> None:
    """Load what the UI needs while the terminal thinks; Textual itself depends on its answers."""
    for name in ("asyncio", "rich.markup", "rich.traceback", "tuipacs.schema.operations"):
        import_module(name)


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())


def _connect(archive: ArchivePaths) -> ArchiveLink:
    from tuipacs.client.async_connection import AsyncConnection  # imports httpx, after first paint

    return AsyncConnection(archive.socket)
