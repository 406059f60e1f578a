"""The application: modes, keys, and news from the archive to the screens."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import work
from textual.app import SystemCommand
from textual.screen import Screen

from tuipacs.domain.permissions import Permission
from tuipacs.domain.user import Session
from tuipacs.ui import actions, command_words, deeds, feed
from tuipacs.ui.collector import CHECK_EVERY, Collector
from tuipacs.ui.desk import ArchiveLink, Desk
from tuipacs.ui.graphics.choice import GraphicsChoice
from tuipacs.ui.graphics.probe import ProbeResult
from tuipacs.ui.keeper import IDLE_CHECK, Keeper
from tuipacs.ui.key_order import KeyOrder
from tuipacs.ui.keys import Keys
from tuipacs.ui.launcher import Launcher
from tuipacs.ui.leader import Leader
from tuipacs.ui.looks import Looks
from tuipacs.ui.news import News
from tuipacs.ui.opening import Opening
from tuipacs.ui.preferences import Preferences
from tuipacs.ui.safety import TextWall
from tuipacs.ui.screens.start import StartScreen
from tuipacs.ui.theme_files import row_colors

if TYPE_CHECKING:
    from textual.command import Provider

STATUS_EVERY = 15.0  # seconds
THEMES_EVERY = 1.0  # seconds

WORK_MODES: dict[str, tuple[str, Permission]] = {
    "archive": ("ArchiveScreen", Permission.BROWSE),
    "incoming": ("IncomingScreen", Permission.VIEW_INCOMING),
    "query": ("QueryScreen", Permission.QUERY_NODES),
    "jobs": ("JobsScreen", Permission.VIEW_JOBS),
    "nodes": ("NodesScreen", Permission.VIEW_NODES),
    "routes": ("RoutesScreen", Permission.VIEW_ROUTES),
    "users": ("UsersScreen", Permission.MANAGE_USERS),
    "audit": ("AuditScreen", Permission.READ_AUDIT),
    "system": ("SystemScreen", Permission.VIEW_SYSTEM),
}
"""Mode → (screen class in the module of that name, permission to go there)."""


def _maker(mode: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        module = import_module(f"tuipacs.ui.screens.{mode}")
        return cast("Screen[Any]", getattr(module, WORK_MODES[mode][0])())

    return make


def _palette() -> type[Provider]:
    from tuipacs.ui.palette import ActionProvider  # after the first paint

    return ActionProvider


def local_now() -> dt.datetime:
    """The time here."""
    return dt.datetime.now().astimezone()


class TuipacsApp(Keys, News):
    """One person at one terminal, working in one archive."""

    TITLE = "tuipacs"  # never a patient's name: terminals put it into logs and task bars
    MODES: ClassVar[dict[str, Any]] = {
        "start": StartScreen,
        **{mode: _maker(mode) for mode in WORK_MODES},
    }
    DEFAULT_MODE = "start"
    COMMANDS = {_palette}
    BINDINGS = actions.bindings(actions.GLOBAL)
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ESCAPE_TO_MINIMIZE = False
    CSS = """
    Toast { background: $surface; }
    Panel, VerticalScroll {
        scrollbar-color: $row-guide;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    CommandPalette { background: $background 65%; }
    CommandPalette > Vertical { max-width: 90; margin-top: 2; }
    CommandPalette SearchIcon { display: none; }
    CommandPalette #--input { padding-left: 1; }
    """

    def __init__(
        self,
        launcher: Launcher,
        *,
        probe: ProbeResult,
        make_link: Callable[[], ArchiveLink],
        theme_folders: Iterable[Path],
        preferences_file: Path | None,
        now: Callable[[], dt.datetime] = local_now,
        collector: Collector | None = None,
    ) -> None:
        self.desk = Desk(now)
        super().__init__()
        self._filters.append(TextWall())
        self.launcher = launcher
        self.probe = probe
        self.collector = collector
        self.make_link = make_link
        self.commands = command_words.CommandSuggester(self)
        self.leader = Leader()
        self.key_order = KeyOrder()
        self.keeper = Keeper(self)
        self.looks = Looks(self, theme_folders, preferences_file)
        self.looks.load()

    # --- what others need

    @property
    def graphics(self) -> GraphicsChoice:
        """How pictures are shown on this terminal."""
        return self.probe.choice

    @property
    def preferences(self) -> Preferences:
        """What this person likes."""
        return self.looks.preferences

    def remember(self, **changes: object) -> None:
        """Keep a preference."""
        self.looks.remember(**changes)

    def theme_names(self) -> tuple[str, ...]:
        """Themes from files."""
        return self.looks.names

    def choose_theme(self, name: str) -> None:
        """Use a theme and remember it."""
        self.looks.choose(name)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return row_colors(self.current_theme)

    def apply_theme_again(self) -> None:
        """The theme in use has other colors now."""
        self._watch_theme(self.theme)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        return ()  # the registry has all; Textual's own would take screenshots of patients

    # --- start

    def on_mount(self) -> None:
        """First paint, then everything else."""
        self.looks.tell_complaints()
        self.set_interval(THEMES_EVERY, self.looks.reload_if_changed)
        self.set_interval(STATUS_EVERY, self.refresh_status)
        self.set_interval(IDLE_CHECK, self._check_idle)
        if (collector := self.collector) is not None:
            self.set_interval(CHECK_EVERY, lambda: collector.tick(self.keeper.idle))
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._loop_signal(number)
        self.call_after_refresh(self.open_archive)
        if self.probe.typed and self._driver is not None:
            from tuipacs.ui.graphics.typeahead import replay

            replay(self._driver, self.probe.typed)

    def _loop_signal(self, number: signal.Signals) -> None:
        import asyncio

        asyncio.get_running_loop().add_signal_handler(number, self.exit, 128 + number)

    @work(exclusive=True, group="opening")
    async def open_archive(self, reason: str = "") -> None:
        """Make, start, reach, log in."""
        screen = self.get_screen_stack("start")[0]
        await Opening(self).run(cast(StartScreen, screen), reason)

    def on_start_screen_retry(self) -> None:
        """Try again after a failed start."""
        self.open_archive()

    # --- session

    def enter(self, session: Session) -> None:
        """Logged in: go to work."""
        self.keeper.begin(session)
        mode = next(
            (name for name, (_, right) in WORK_MODES.items() if self.desk.may(right)), "start"
        )
        if mode == "start":
            self.leave_work("This account has no screens; use the command line.")
            return
        self.switch_mode(mode)
        if self.collector is not None:
            self.call_after_refresh(self.collector.work_begins)
        self.follow()
        self.refresh_status()

    @work(exclusive=True, group="feed")
    async def follow(self) -> None:
        """Follow the archive's events."""
        await feed.Feed(self.desk, self.post_message).run()

    def leave_work(self, reason: str = "") -> None:
        """Throw away all screens with patient data and ask for a login."""
        for group in ("feed", "dialog", "status"):
            self.workers.cancel_group(self, group)
        for screen in self.work_screens():
            screen.wipe()
        self.keeper.locked = False
        self.desk.forget()
        self.clear_notifications()
        self.switch_mode("start")
        for mode in WORK_MODES:
            self.remove_mode(mode)
            self.add_mode(mode, _maker(mode))
        if self.collector is not None:
            self.collector.session_ended()
        self.open_archive(reason)

    def lock_screen(self) -> None:
        """Cover everything; pictures are removed from the terminal."""
        if self.keeper.locked or self.desk.session is None:
            return
        from tuipacs.ui.screens.lock import LockScreen

        self.keeper.locked = True
        self.leader.end()
        self.clear_notifications()
        for screen in self.work_screens():
            screen.wipe()
        self.push_screen(LockScreen(self.desk), self._unlocked)

    def _unlocked(self, answer: str | None) -> None:
        self.keeper.locked = False
        if answer != "unlocked":
            self.log_out()
            return
        self.keeper.key_pressed()
        self.follow()
        for screen in self.work_screens():
            screen.unwiped()

    @work(group="session")
    async def log_out(self) -> None:
        """End the session, then ask for a login."""
        await self.keeper.log_out()
        self.leave_work()

    @work(group="session")
    async def touch(self) -> None:
        """Tell the archive that someone is here."""
        await self.keeper.touch()

    @work(group="session")
    async def tell_locked(self) -> None:
        """Lock the session in the archive too."""
        await self.keeper.tell_locked()

    def _check_idle(self) -> None:
        if self.keeper.idle_too_long():
            self.lock_screen()
            self.tell_locked()

    # --- commands

    def run_command(self, text: str) -> None:
        """Carry out a command line."""
        command_words.run(self, text)

    def archive_command(self, word: str, rest: str) -> None:
        """``:filter`` and ``:sort``."""
        deeds.archive_command(self, word, rest)

    def import_files(self, path: str = "") -> None:
        """Ask for paths, or take one from the command line."""
        deeds.import_files(self, path)

    # --- the end

    def _fatal_error(self) -> None:
        """A crash shows where, and never what: locals and messages may hold patient data."""
        from tuipacs.ui.crash import crash_report

        self._exit_renderables.append(crash_report())
        self._close_messages_no_wait()
