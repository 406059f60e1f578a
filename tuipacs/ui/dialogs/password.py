"""New passwords: one's own, and another's."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.schema import operations as op
from tuipacs.schema.messages import ChangePasswordRequest, UserPasswordRequest
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.screens.first_run import LEAST_PASSWORD, check_password
from tuipacs.ui.widgets.push_button import PushButton


class PasswordDialog(Dialog[bool]):
    """Asks for a new password twice; True when the archive took it."""

    def fields(self) -> Iterable[Widget]:
        """What is asked before."""
        return ()

    def compose_form(self) -> Iterable[Widget]:
        yield from self.fields()
        yield label(f"New password: {LEAST_PASSWORD} characters or more")
        yield Input(id="new", password=True, max_length=1024)
        yield label("New password again")
        yield Input(id="again", password=True, max_length=1024)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Change", id="ok")

    def chosen(self, button: str) -> None:
        new = self.query_one("#new", Input).value
        if reason := check_password(new, self.query_one("#again", Input).value):
            self.complain(reason)
        else:
            self.send(new)

    def changed(self, _: object) -> None:
        """The archive took it."""
        self.notify("the password was changed", markup=False)
        self.dismiss(True)

    def send(self, new: str) -> None:
        """Ask the archive."""
        raise NotImplementedError


class OwnPasswordDialog(PasswordDialog):
    """Needs the old password too."""

    heading = "Change my password"
    AUTO_FOCUS = "#old"

    def fields(self) -> Iterable[Widget]:
        yield label("Old password")
        yield Input(id="old", password=True, max_length=1024)

    def send(self, new: str) -> None:
        old = self.query_one("#old", Input).value
        request = ChangePasswordRequest(old_password=old, new_password=new)
        self.ask(op.CHANGE_PASSWORD, request, self.changed)


class UserPasswordDialog(PasswordDialog):
    """An administrator sets another's; that user's sessions end."""

    heading = "Set a password"
    AUTO_FOCUS = "#new"

    def __init__(self, user: str) -> None:
        super().__init__()
        self._user = user

    def fields(self) -> Iterable[Widget]:
        yield words(f"For {self._user}, whose open sessions end.")
        yield words("")

    def send(self, new: str) -> None:
        request = UserPasswordRequest(name=self._user, password=new)
        self.ask(op.USER_PASSWORD, request, self.changed)
