"""From the first paint to the login: make the archive, start it, reach it, ask who one is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tuipacs.errors import DaemonUnreachableError, TuipacsError, UnavailableError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Empty
from tuipacs.ui.launcher import START_LIMIT
from tuipacs.ui.screens.start import StartScreen

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

_POLL = 0.1  # seconds


class Opening:
    """One attempt; runs as a worker of the app."""

    def __init__(self, app: TuipacsApp) -> None:
        self._app = app
        self._desk = app.desk
        self._user = ""  # who has just made the archive

    async def run(self, screen: StartScreen, reason: str) -> None:
        """Do all steps; what fails is told on the start screen, which offers to try again."""
        try:
            await self._make(screen)
            await self._reach(screen)
        except TuipacsError as error:
            screen.fail("\n".join(part for part in (error.message, error.remedy) if part))
            return
        screen.tell("")
        await self._log_in(reason)

    async def _make(self, screen: StartScreen) -> None:
        if self._app.launcher.exists:
            return
        from tuipacs.ui.screens.first_run import FirstRunScreen

        made_by = await self._app.push_screen_wait(FirstRunScreen(self._app.launcher))
        self._user = made_by or ""
        screen.tell("the archive was made; starting it …")

    async def _reach(self, screen: StartScreen) -> None:
        if not self._desk.is_linked:
            self._desk.connect(await asyncio.to_thread(self._app.make_link))
        try:
            self._desk.health = await self._desk.link.call(op.HEALTH, Empty())
        except DaemonUnreachableError:
            await self._start(screen)
        self._desk.reachable = True

    async def _start(self, screen: StartScreen) -> None:
        launcher = self._app.launcher
        launcher.start()
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            screen.tell(f"starting the archive {'·' * (1 + int(waited * 2) % 5):<5}")
            await asyncio.sleep(_POLL)
            try:
                self._desk.health = await self._desk.link.call(op.HEALTH, Empty())
            except DaemonUnreachableError:
                if said := launcher.died():
                    raise UnavailableError(said) from None
                if waited > START_LIMIT:
                    raise UnavailableError(
                        f"the archive did not answer within {START_LIMIT:.0f} seconds",
                        remedy=f"look into {launcher.archive.log}",
                    ) from None
            else:
                return

    async def _log_in(self, reason: str) -> None:
        from tuipacs.ui.screens.login import LoginScreen

        screen = LoginScreen(self._desk, reason=reason, user=self._user)
        session = await self._app.push_screen_wait(screen)
        if session is not None:
            self._app.enter(session)
