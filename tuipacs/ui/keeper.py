"""The session while one works: signs of life, the lock, the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tuipacs.domain.user import Session
from tuipacs.errors import (
    AuthenticationError,
    DaemonUnreachableError,
    SessionLockedError,
    TuipacsError,
)
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Empty

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

TOUCH_EVERY = 30.0  # seconds between two signs of life to the archive
IDLE_CHECK = 5.0  # seconds


class Keeper:
    """Knows when a key was last pressed; locks without the archive's help when it must."""

    def __init__(self, app: TuipacsApp) -> None:
        self._app = app
        self._last_key = time.monotonic()
        self._last_touch = 0.0
        self.locked = False

    def begin(self, session: Session) -> None:
        """A login succeeded."""
        self.locked = False
        self._last_key = self._last_touch = time.monotonic()
        self._app.desk.session = session
        self._app.desk.link.token = session.token

    @property
    def idle(self) -> float:
        """Seconds since the last key."""
        return time.monotonic() - self._last_key

    def key_pressed(self) -> bool:
        """Note a key; True when the archive should hear of it."""
        now = time.monotonic()
        self._last_key = now
        if self._app.desk.session is None or self.locked or now - self._last_touch < TOUCH_EVERY:
            return False
        self._last_touch = now
        return True

    async def touch(self) -> None:
        """Tell the archive that someone is here."""
        try:
            await self._app.desk.link.call(op.TOUCH, Empty())
        except TuipacsError as error:
            self._app.report(error, quietly=True)

    def idle_too_long(self) -> bool:
        """Whether the lock is due by our own clock, archive or not."""
        session = self._app.desk.session
        if session is None or self.locked or session.lock_after <= 0:
            return False
        return self.idle > session.lock_after

    async def tell_locked(self) -> None:
        """Lock the session in the archive too."""
        try:
            await self._app.desk.link.call(op.LOCK, Empty())
        except (SessionLockedError, DaemonUnreachableError):
            return  # locked already, or not to be told now: the screen is covered all the same
        except TuipacsError as error:
            self._app.report(error, quietly=True)

    async def log_out(self) -> None:
        """End the session in the archive."""
        try:
            await self._app.desk.link.call(op.LOGOUT, Empty())
        except (AuthenticationError, DaemonUnreachableError):
            return  # over already, or it runs out by itself
        except TuipacsError as error:
            self._app.report(error, quietly=True)
