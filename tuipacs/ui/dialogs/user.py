"""Accounts: a new one, and another role."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.domain.permissions import Role
from tuipacs.domain.user import UserRecord
from tuipacs.schema import operations as op
from tuipacs.schema.messages import UserAddRequest, UserRoleRequest
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.screens.first_run import LEAST_PASSWORD, check_password
from tuipacs.ui.widgets.choices import Choice, Choices
from tuipacs.ui.widgets.push_button import PushButton

ABOUT = {
    Role.VIEWER: "looks at pictures",
    Role.TECHNOLOGIST: "imports, exports, watches receiving",
    Role.RADIOLOGIST: "looks, exports, watches receiving",
    Role.ADMIN: "everything, users and nodes too",
    Role.AUDITOR: "reads the audit log, opens no study",
    Role.SERVICE: "a machine account for the command line",
}


class RoleDialog(Dialog[bool]):
    """Gives an account another role; True when it was done."""

    AUTO_FOCUS = "Choices"
    heading = "Role"

    def __init__(self, user: str, role: Role) -> None:
        super().__init__()
        self._user, self._role = user, role

    def compose_form(self) -> Iterable[Widget]:
        yield words(f"{self._user} gets another role; open sessions end.")
        yield words("")
        yield roles(self._role)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Change", id="ok")

    def chosen(self, button: str) -> None:
        request = UserRoleRequest(name=self._user, role=chosen_role(self))
        self.ask(op.USER_ROLE, request, lambda _: self.dismiss(True))


class AddUserDialog(Dialog[bool]):
    """Makes an account; True when it was done."""

    AUTO_FOCUS = "#name"
    heading = "Add a user"

    def compose_form(self) -> Iterable[Widget]:
        yield label("Name")
        yield Input(id="name", max_length=64)
        yield label("Role")
        yield roles(Role.VIEWER)
        yield label(f"Password: {LEAST_PASSWORD} characters or more")
        yield Input(id="password", password=True, max_length=1024)
        yield label("Password again")
        yield Input(id="again", password=True, max_length=1024)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Add", id="ok")

    def chosen(self, button: str) -> None:
        name = self.query_one("#name", Input).value.strip()
        password = self.query_one("#password", Input).value
        reason = "" if name else "The user needs a name."
        reason = reason or check_password(password, self.query_one("#again", Input).value)
        if reason:
            self.complain(reason)
        else:
            request = UserAddRequest(name=name, role=chosen_role(self), password=password)
            self.ask(op.USER_ADD, request, self._added)

    def _added(self, user: UserRecord) -> None:
        self.notify(f"{user.name} can log in now", markup=False)
        self.dismiss(True)


def roles(current: Role) -> Choices:
    """All roles with a word about each."""
    return Choices(
        *(
            Choice(f"{role.value:<13} {ABOUT[role]}", value=role is current, id=role.value)
            for role in Role
        )
    )


def chosen_role(dialog: Dialog[bool]) -> Role:
    """What is pressed in the dialog's roles."""
    pressed = dialog.query_one(Choices).pressed_button
    return Role(pressed.id) if pressed is not None and pressed.id else Role.VIEWER
