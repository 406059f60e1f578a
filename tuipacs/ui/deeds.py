"""What the global actions do, one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuipacs.domain.permissions import Permission
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import JobsRequest
from tuipacs.schema.messages import Empty, ImportRequest

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp


async def fetch_incoming(app: TuipacsApp) -> bool:
    """Count open associations for the header."""
    from tuipacs.domain.node import AssociationState

    if not app.desk.may(Permission.VIEW_INCOMING):
        return False
    try:
        incoming = await app.desk.link.call(op.INCOMING, Empty())
    except TuipacsError as error:
        app.report(error, quietly=True)
        return False
    app.desk.associations = incoming.associations
    app.desk.associations_open = sum(
        association.state is AssociationState.OPEN for association in incoming.associations
    )
    return True


async def fetch_jobs(app: TuipacsApp) -> bool:
    """Fetch the jobs for the header and the jobs screen."""
    if not app.desk.may(Permission.VIEW_JOBS):
        return False
    try:
        answer = await app.desk.link.call(op.JOBS, JobsRequest())
    except TuipacsError as error:
        app.report(error, quietly=True)
        return False
    app.desk.jobs, app.desk.lanes = answer.jobs, answer.lanes
    return True


async def fetch_status(app: TuipacsApp) -> bool:
    """Fetch disk, totals and log for the header and the system screen."""
    if app.desk.session is None or app.keeper.locked or not app.desk.reachable:
        return False
    try:
        if app.desk.may(Permission.VIEW_SYSTEM):
            app.desk.status = await app.desk.link.call(op.STATUS, Empty())
            app.desk.health = app.desk.status.health
            app.desk.totals = app.desk.status.totals
        else:
            app.desk.health = await app.desk.link.call(op.HEALTH, Empty())
    except TuipacsError as error:
        app.report(error, quietly=True)
        return False
    return True


def archive_command(app: TuipacsApp, word: str, rest: str) -> None:
    """``:filter WORDS`` and ``:sort ORDER`` from anywhere."""
    from tuipacs.ui.screens.archive import ArchiveScreen

    if not app.desk.may(Permission.BROWSE):
        app.notify("the archive needs another role", severity="warning", markup=False)
        return
    app.go("archive")
    screen = app.get_screen_stack("archive")[0]
    if not isinstance(screen, ArchiveScreen):
        return
    if word == "filter":
        screen.call_after_refresh(screen.set_filter, rest)
    elif not screen.set_sort(rest):
        app.notify("sort takes received, date, name or id", severity="warning", markup=False)


def import_files(app: TuipacsApp, path: str) -> None:
    """Ask for paths on the archive's machine and submit a job."""
    from tuipacs.ui.actions import needs_role
    from tuipacs.ui.dialogs.import_paths import ImportDialog

    if not app.desk.may(Permission.IMPORT):
        app.notify(f"Import: {needs_role(Permission.IMPORT)}", severity="warning", markup=False)
        return

    def submit(paths: tuple[str, ...] | None) -> None:
        if paths:
            app.run_worker(_submit_import(app, paths), group="action")

    app.push_screen(ImportDialog(path), submit)


async def _submit_import(app: TuipacsApp, paths: tuple[str, ...]) -> None:
    try:
        job = await app.desk.link.call(op.IMPORT, ImportRequest(paths=paths))
    except TuipacsError as error:
        app.report(error)
        return
    app.notify(f"{job.title}: started, g j shows it", markup=False)
    app.refresh_jobs()


def help(app: TuipacsApp) -> None:
    """Everything one can do here; the chosen action runs."""
    from tuipacs.ui.screens.help import HelpScreen
    from tuipacs.ui.screens.work import WorkScreen

    screen = app.screen
    if isinstance(screen, WorkScreen):
        app.push_screen(
            HelpScreen(screen), lambda action: app.perform(action) if action is not None else None
        )


def choose_theme(app: TuipacsApp) -> None:
    """A list of themes that are tried on while one moves."""
    from tuipacs.ui.dialogs.theme import ThemeDialog

    app.push_screen(ThemeDialog(app.theme_names(), app.theme), app.looks.chosen)


def change_password(app: TuipacsApp) -> None:
    """One's own password."""
    from tuipacs.ui.dialogs.password import OwnPasswordDialog

    app.push_screen(OwnPasswordDialog())


def doctor(app: TuipacsApp) -> None:
    """What the terminal can do, and why pictures look as they do."""
    from tuipacs.ui.screens.doctor import DoctorScreen

    app.push_screen(DoctorScreen(app.probe))


def start_archive(app: TuipacsApp) -> None:
    """Start the daemon again; the feed connects by itself when it is there."""
    app.launcher.start()
    app.notify("starting the archive …", markup=False)

    def look() -> None:
        if not app.desk.reachable and (said := app.launcher.died()):
            app.notify(said, severity="error", timeout=10, markup=False)

    app.set_timer(3.0, look)


def leave(app: TuipacsApp) -> None:
    """Ask whether the archive keeps receiving."""
    from tuipacs.ui.dialogs.quit import STOP, QuitDialog

    def answered(answer: str | None) -> None:
        if answer is not None:
            app.run_worker(_leave(app, stop=answer == STOP), group="action")

    app.push_screen(QuitDialog(app.desk, is_demo=app.launcher.is_demo), answered)


async def _leave(app: TuipacsApp, *, stop: bool) -> None:
    if stop:
        try:
            await app.desk.link.call(op.STOP, Empty())
        except TuipacsError as error:
            app.notify(f"not stopped: {error.message}", severity="error", markup=False)
            return
    else:
        await app.keeper.log_out()
    app.exit(0)
