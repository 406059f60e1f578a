"""The base of all screens one works in after the login."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tuipacs.errors import TuipacsError
from tuipacs.schema.messages import Changes
from tuipacs.schema.operations import Answer, Operation, Request
from tuipacs.ui import actions
from tuipacs.ui.actions import Action
from tuipacs.ui.desk import Desk
from tuipacs.ui.widgets.banner import Banner
from tuipacs.ui.widgets.header import HeaderLine
from tuipacs.ui.widgets.key_footer import KeyFooter
from tuipacs.ui.widgets.line_view import LineView
from tuipacs.ui.widgets.prompt_line import PromptLine
from tuipacs.ui.widgets.which_key import WhichKey

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp


class WorkScreen(Screen[None]):
    """Header, body, footer; the command line; who may do what; and news from the archive."""

    SCOPE: ClassVar[str] = ""
    PLACE: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (140, "-wide")]
    AUTO_FOCUS = ""

    DEFAULT_CSS = """
    WorkScreen {
        layers: base overlay;
        background: $background;
        & > #body { height: 1fr; width: 1fr; }
        & > #command { dock: bottom; offset-y: -1; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._stale = False
        self._begun = False

    @property
    def is_settled(self) -> bool:
        """Whether it can take keys."""
        return self._begun

    @property
    def tui(self) -> TuipacsApp:
        """The application."""
        return cast("TuipacsApp", self.app)

    @property
    def desk(self) -> Desk:
        """The shared state."""
        return self.tui.desk

    def compose(self) -> ComposeResult:
        yield HeaderLine(self.desk, self.PLACE)
        yield Banner()
        with Container(id="body"):
            yield from self.compose_body()
        yield KeyFooter()
        yield PromptLine(":", "a command, like: jobs", id="command", suggester=self.tui.commands)
        yield WhichKey()

    def compose_body(self) -> Iterable[Widget]:
        """What is between header and footer."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Say how the link is, then start."""
        if not self.children:
            return  # the application is leaving
        self.link_changed()
        self.begin()
        self._begun = True

    def begin(self) -> None:
        """Called once, when the screen is there: ask for what it shows."""

    # --- what can be done

    def lacks(self, need: str) -> str:
        """Why the condition ``need`` of an action does not hold; empty when it does."""
        return ""

    def why_not(self, action: Action) -> str:
        """Why ``action`` cannot be done now; empty when it can."""
        if not self.desk.may(action.permission) and action.permission is not None:
            return actions.needs_role(action.permission)
        return self.lacks(action.needs) if action.needs else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        known = actions.find(self.SCOPE, action)
        if known is not None and isinstance(self.focused, Input):
            return False  # enter, arrows and the like belong to what is typed
        if known is not None and self.why_not(known):
            return None
        return True

    def possible(self) -> tuple[Action, ...]:
        """What the footer shows: works here and now, most important first."""
        ranked = sorted(
            (a for a in actions.in_scope(self.SCOPE) if a.footer), key=lambda a: a.footer
        )
        return tuple(action for action in ranked if not self.why_not(action))

    def refresh_keys(self) -> None:
        """What works may have changed."""
        if self.is_mounted:
            always = (actions.BY_ID["global.command"], actions.BY_ID["global.help"])
            self.query_one(KeyFooter).show(self.possible(), always)

    def on_key_footer_pressed(self, event: KeyFooter.Pressed) -> None:
        """A click in the footer."""
        self.tui.perform(event.action)

    def step_back(self) -> bool:
        """One step back within the screen; False when there is none."""
        command = self.query_one("#command", PromptLine)
        if command.display:
            self.close_command()
            return True
        return False

    # --- asking the archive

    async def ask(self, operation: Operation[Request, Answer], request: Request) -> Answer | None:
        """The answer, or None after the error was shown to the person."""
        try:
            return await self.desk.link.call(operation, request)
        except TuipacsError as error:
            self.tui.report(error)
            return None

    # --- news

    def news(self, kind: str, changes: Changes | None = None) -> None:
        """Something changed: ``archive``, ``incoming``, ``jobs``, ``status`` or ``link``."""
        if self._begun and not self.query(KeyFooter):
            return  # it is leaving, and its parts are gone already
        if self.is_current:
            self.digest(kind, changes)
        else:
            self._stale = True
        if self.is_mounted:
            self.query_one(HeaderLine).refresh()

    def digest(self, kind: str, changes: Changes | None) -> None:
        """Bring the screen up to date; called only while it is the current one."""

    def catch_up(self) -> None:
        """The screen is shown again and things may have changed."""

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Back again."""
        self.link_changed()
        self.refresh_keys()
        if self._stale:
            self._stale = False
            self.catch_up()

    def link_changed(self) -> None:
        """Show or hide the banner."""
        if not self.is_mounted:
            return
        desk = self.desk
        text = ""
        if not desk.reachable:
            text = "archive not reachable, reconnecting …   F5 starts it again"
        elif desk.status is not None and desk.status.read_only:
            text = f"the archive stores nothing: {desk.status.read_only}"
        self.query_one(Banner).say(text)
        self.query_one(HeaderLine).refresh()
        self.refresh_keys()

    def wipe(self) -> None:
        """Remove all pictures: the screen is locked or left."""

    def unwiped(self) -> None:
        """The screen was unlocked: pictures may be shown again."""

    # --- the leader

    def show_which_key(self, rows: list[tuple[str, str, str]]) -> None:
        """Show where the leader can lead."""
        self.query_one(WhichKey).show(rows)

    def hide_which_key(self) -> None:
        """Take the popup away."""
        if self.is_mounted:
            self.query_one(WhichKey).hide()

    def go_to_top(self) -> None:
        """``gg``: the first line of the list that has the focus."""
        if isinstance(self.focused, LineView):
            self.focused.action_top()

    # --- command line

    def open_command(self) -> None:
        """Type a command."""
        self.query_one("#command", PromptLine).open("")

    def close_command(self) -> None:
        """Back to where the focus belongs."""
        self.query_one("#command", PromptLine).close()
        self.focus_home()

    def focus_home(self) -> None:
        """Put the focus where keys do most."""

    def on_prompt_line_entered(self, event: PromptLine.Entered) -> None:
        """A command was entered; other lines are the subclass's."""
        if event.line.id == "command":
            event.stop()
            self.close_command()
            self.tui.run_command(event.text)
