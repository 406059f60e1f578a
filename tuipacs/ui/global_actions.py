"""What the global actions of the registry do, as methods of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import App

from tuipacs.domain.permissions import Permission
from tuipacs.ui import deeds
from tuipacs.ui.screens.work import WorkScreen

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp


class GlobalActions(App[int]):
    """One part of `TuipacsApp`."""

    @property
    def tui(self) -> TuipacsApp:
        """The whole application."""
        return cast("TuipacsApp", self)

    def go(self, mode: str) -> None:
        """To another screen; one that is open there stays open."""
        self.switch_mode(mode)

    def action_go_archive(self) -> None:
        self.go("archive")

    def action_go_incoming(self) -> None:
        self.go("incoming")

    def action_go_query(self) -> None:
        self.go("query")

    def action_go_jobs(self) -> None:
        self.go("jobs")

    def action_go_nodes(self) -> None:
        self.go("nodes")

    def action_go_routes(self) -> None:
        self.go("routes")

    def action_go_users(self) -> None:
        self.go("users")

    def action_go_audit(self) -> None:
        self.go("audit")

    def action_go_system(self) -> None:
        self.go("system")

    async def action_back(self) -> None:
        """One step back: within the screen, then to the screen below."""
        screen = self.screen
        if isinstance(screen, WorkScreen) and not screen.step_back():
            if len(self.screen_stack) > 1:
                self.pop_screen()
            elif self.current_mode != "archive" and self.tui.desk.may(Permission.BROWSE):
                self.go("archive")

    def action_command(self) -> None:
        """Type a command."""
        if isinstance(self.screen, WorkScreen):
            self.screen.open_command()

    def action_palette(self) -> None:
        """Textual's palette with our actions."""
        self.action_command_palette()

    def action_help(self) -> None:
        """All actions, searchable."""
        deeds.help(self.tui)

    def action_theme(self) -> None:
        """Choose a theme."""
        deeds.choose_theme(self.tui)

    def action_password(self) -> None:
        """Change one's own password."""
        deeds.change_password(self.tui)

    def action_doctor(self) -> None:
        """Explain the terminal and the pictures."""
        deeds.doctor(self.tui)

    def action_lock(self) -> None:
        """Lock at once."""
        self.tui.lock_screen()
        self.tui.tell_locked()

    def action_logout(self) -> None:
        """End the session."""
        self.tui.log_out()

    def action_start_archive(self) -> None:
        """Start a daemon for an archive that does not answer."""
        deeds.start_archive(self.tui)

    async def action_quit(self) -> None:
        """Ask whether the archive keeps receiving; in a view on top, step back."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            deeds.leave(self.tui)

    async def action_leave(self) -> None:
        """Leave before the login: nothing to ask."""
        self.exit(0)
