"""Accounts, sessions, and who may do what."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence

from textual import work
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from tuipacs.domain.permissions import MATRIX, Permission, Role
from tuipacs.domain.user import SessionRecord, UserRecord
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty, SessionEndRequest, UserDisableRequest
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.password import UserPasswordDialog
from tuipacs.ui.dialogs.user import AddUserDialog, RoleDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList


def user_columns(width: int) -> Sequence[Column]:
    """Name, role, state; last login where there is room."""
    out = [
        Column("User", 14, flex=1),
        Column("Role", 12, source=1),
        Column("State", 14, source=2),
    ]
    if width >= 62:
        out.append(Column("Last login", 19, source=3))
    return out


def session_columns(width: int) -> Sequence[Column]:
    """Who, since when active; from where if there is room."""
    out = [
        Column("User", 14, flex=1),
        Column("Client", 8, source=1),
        Column("State", 7, source=2),
        Column("Active", 10, source=3),
    ]
    if width >= 62:
        out.append(Column("From", 22, flex=1, source=4))
    return out


def matrix_columns(width: int) -> Sequence[Column]:
    """One column a role."""
    short = width < 80
    return [
        Column("Permission", 14, flex=1),
        *(
            Column(role.value[:4] if short else role.value, 4 if short else 12, source=index)
            for index, role in enumerate(Role, start=1)
        ),
    ]


def matrix_rows() -> list[Row]:
    """The permission matrix; what belongs to DICOM peers alone is left out."""
    rows = []
    for permission in Permission:
        if not any(permission in MATRIX[role] for role in Role):
            continue
        marks = (
            Cell("  ✓", "good") if permission in MATRIX[role] else Cell("  ·", "guide")
            for role in Role
        )
        rows.append(Row(permission, (Cell(permission.value.replace("-", " ")), *marks)))
    return rows


class UsersScreen(WorkScreen):
    """Three lists: accounts, sessions, roles."""

    SCOPE = "users"
    PLACE = "Users"
    BINDINGS = actions.bindings("users")

    DEFAULT_CSS = """
    UsersScreen {
        & #top { height: 1fr; }
        & #users, & #sessions { width: 1fr; }
        & #matrix { height: 17; }
        &.-narrow #top { layout: vertical; height: 1fr; }
        &.-narrow #users { height: 3fr; }
        &.-narrow #sessions { height: 2fr; min-height: 5; }
        &.-narrow #matrix { height: 6; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._users: tuple[UserRecord, ...] = ()
        self._sessions: tuple[SessionRecord, ...] = ()

    def compose_body(self) -> Iterable[Widget]:
        with Vertical():
            with Horizontal(id="top"):
                with Panel("users", id="users"):
                    yield RowList(user_columns, id="user-list", empty="loading …")
                with Panel("sessions", id="sessions"):
                    yield RowList(session_columns, id="session-list", empty="nobody is logged in")
            with Panel("who may do what", id="matrix"):
                yield RowList(matrix_columns, id="matrix-list")

    @property
    def users(self) -> RowList:
        """The accounts."""
        return self.query_one("#user-list", RowList)

    @property
    def sessions(self) -> RowList:
        """The sessions."""
        return self.query_one("#session-list", RowList)

    def begin(self) -> None:
        self.query_one("#matrix-list", RowList).set_rows(matrix_rows())
        self.set_focus(self.users)
        self.load()

    def focus_home(self) -> None:
        self.set_focus(self.users)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "status":
            self.load()

    def catch_up(self) -> None:
        self.load()

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load(self) -> None:
        """Fetch accounts and sessions."""
        answer = await self.ask(op.USERS, Empty())
        if answer is None:
            return
        self._users, self._sessions = answer.users, answer.sessions
        self.users.set_rows([Row(user.name, _user(user)) for user in self._users])
        today = self.desk.now().date()
        self.sessions.set_rows([Row(one.key, _session(one, today)) for one in self._sessions])
        self.query_one("#users", Panel).entitle(f.plural(len(self._users), "user"))
        self.query_one("#sessions", Panel).entitle(f.plural(len(self._sessions), "session"))
        self.refresh_keys()

    # --- what can be done

    @property
    def user(self) -> UserRecord | None:
        """The account under the cursor, while its list has the focus."""
        if self.focused is not self.users:
            return None
        return next((u for u in self._users if u.name == self.users.current_key), None)

    @property
    def session(self) -> SessionRecord | None:
        """The session under the cursor, while its list has the focus."""
        if self.focused is not self.sessions:
            return None
        return next((s for s in self._sessions if s.key == self.sessions.current_key), None)

    def lacks(self, need: str) -> str:
        if not self.is_mounted:
            return "not yet"
        if need == "user" and self.user is None:
            return "choose a user (tab goes to the list)"
        if need == "session" and self.session is None:
            return "choose a session (tab goes to the list)"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row."""
        self.refresh_keys()

    def action_other_pane(self) -> None:
        """Users, sessions, matrix, and round again."""
        lists = list(self.query(RowList))
        index = lists.index(self.focused) if self.focused in lists else -1
        self.set_focus(lists[(index + 1) % len(lists)])
        self.refresh_keys()

    def _reload_after(self, changed: bool | None) -> None:
        if changed:
            self.load()

    def action_add(self) -> None:
        """A new account."""
        self.app.push_screen(AddUserDialog(), self._reload_after)

    def action_role(self) -> None:
        """Another role."""
        if self.user is not None:
            self.app.push_screen(RoleDialog(self.user.name, self.user.role), self._reload_after)

    def action_password(self) -> None:
        """Another password."""
        if self.user is not None:
            self.app.push_screen(UserPasswordDialog(self.user.name), self._reload_after)

    def action_disable(self) -> None:
        """Disable or enable."""
        user = self.user
        if user is None:
            return
        request = UserDisableRequest(name=user.name, disabled=not user.disabled)
        if user.disabled:
            self.change(request)
            return
        text = f"{user.name} ({user.role.value}) cannot log in any more; open sessions end."

        def answered(yes: bool | None) -> None:
            if yes:
                self.change(request)

        self.app.push_screen(Confirm("Disable a user", text, "Disable", danger=True), answered)

    def action_end(self) -> None:
        """End a session."""
        session = self.session
        if session is None:
            return
        where = session.ssh_client or session.terminal or session.unix_user
        text = f"{session.user} on {where or 'an unknown terminal'} must log in again."

        def answered(yes: bool | None) -> None:
            if yes:
                self.change(SessionEndRequest(key=session.key))

        self.app.push_screen(Confirm("End a session", text, "End it", danger=True), answered)

    @work(group="change", exit_on_error=True)
    async def change(self, request: UserDisableRequest | SessionEndRequest) -> None:
        """Tell the archive, then show what it has."""
        if isinstance(request, UserDisableRequest):
            await self.ask(op.USER_DISABLE, request)
        else:
            await self.ask(op.SESSION_END, request)
        self.load()


def _user(user: UserRecord) -> tuple[Cell, ...]:
    state, tone = "active", "good"
    if user.disabled:
        state, tone = "disabled", "dim"
    elif user.blocked_until is not None and user.blocked_until > time.time():
        state, tone = f"waits {f.duration(user.blocked_until - time.time())}", "bad"
    elif user.failed_logins:
        state, tone = f.plural(user.failed_logins, "wrong try", "wrong tries"), "warn"
    return (
        Cell(user.name, "dim" if user.disabled else "name"),
        Cell(user.role.value, "accent"),
        Cell(state, tone),
        Cell(f.moment(user.last_login_at), "dim"),
    )


def _session(session: SessionRecord, today: dt.date) -> tuple[Cell, ...]:
    where = " ".join(p for p in (session.unix_user, session.terminal, session.ssh_client) if p)
    return (
        Cell(session.user, "name"),
        Cell(session.client.value),
        Cell("locked", "warn") if session.locked else Cell("open", "good"),
        Cell(f.clock(session.active_at, today), "dim"),
        Cell(where, "dim"),
    )
