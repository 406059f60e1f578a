"""A password that an administrator sets is not overwritten by a change that was under way."""

from __future__ import annotations

import pytest

from tests.unit.services.parts import Parts, actor
from tuipacs.domain.actor import Origin
from tuipacs.domain.permissions import Role
from tuipacs.domain.user import ClientKind
from tuipacs.errors import AuthenticationError
from tuipacs.schema import messages as m
from tuipacs.services.password_hash import PasswordHasher

OLD, STOLEN, RESET = "some quiet sentence", "what the thief wanted", "quite another sentence"
HERE = Origin(unix_user="anna")
ADMIN = actor(Role.ADMIN)


class Resetting(PasswordHasher):
    """While the new password is hashed, an administrator sets another one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        super().__init__(memory_kib=8, iterations=1)

    def hash(self, password: str) -> str:
        if password == STOLEN:
            self._parts.users.set_password(ADMIN, m.UserPasswordRequest(name="eve", password=RESET))
        return super().hash(password)


def test_a_change_of_password_loses_against_an_administrators(parts: Parts) -> None:
    """Else whoever stole an account keeps it by changing its password at the right moment."""
    parts.users.add(ADMIN, m.UserAddRequest(name="eve", role=Role.VIEWER, password=OLD))
    parts.hasher = Resetting(parts)
    sessions = parts.new_sessions()

    def log_in(password: str) -> str:
        request = m.LoginRequest(user="eve", password=password, client=ClientKind.COMMAND)
        return sessions.login(request, HERE).token

    me = sessions.resolve(log_in(OLD), HERE)
    with pytest.raises(AuthenticationError, match="changed meanwhile"):
        sessions.change_password(me, m.ChangePasswordRequest(old_password=OLD, new_password=STOLEN))
    with pytest.raises(AuthenticationError):
        log_in(STOLEN)
    log_in(RESET)
