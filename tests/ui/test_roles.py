"""What a role may not do stays in sight and says why."""

from __future__ import annotations

import pytest

from tests.ui.driving import at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.permissions import Permission, Role
from tuipacs.ui import actions
from tuipacs.ui.application import WORK_MODES


async def test_a_viewer_sees_the_disabled_import_with_the_reason_in_the_help() -> None:
    archive = FakeArchive(5, role=Role.VIEWER)
    async with at_work(archive) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "enter does it" in screen_text(app))
        type_ahead(app, "import")
        await until(pilot, lambda: "needs role technologist, admin" in screen_text(app))


async def test_a_disabled_key_says_why_and_does_nothing() -> None:
    archive = FakeArchive(5, role=Role.VIEWER)
    async with at_work(archive) as (app, pilot):
        await pilot.press("I")
        await until(
            pilot, lambda: "needs role technologist, admin" in " ".join(screen_text(app).split())
        )
        assert len(app.screen_stack) == 1


async def test_the_footer_shows_only_what_this_role_can_do_here() -> None:
    for role, shown in ((Role.VIEWER, False), (Role.TECHNOLOGIST, True)):
        async with at_work(FakeArchive(5, role=role), size=(160, 45)) as (app, _):
            assert ("I import files" in screen_text(app).splitlines()[-1]) is shown


async def test_the_leader_refuses_a_screen_of_another_role() -> None:
    archive = FakeArchive(5, role=Role.RADIOLOGIST)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "u")
        await until(pilot, lambda: "needs role admin" in " ".join(screen_text(app).split()))
        assert app.current_mode == "archive"
        assert "users.list" not in archive.names_called()


async def test_an_auditor_begins_in_the_audit_log_and_asks_for_no_patient() -> None:
    archive = FakeArchive(5, role=Role.AUDITOR)
    async with at_work(archive) as (app, pilot):
        await until(pilot, lambda: "500 records" in screen_text(app))
        archive.receive(1)
        await pilot.pause(0.4)
        assert app.current_mode == "audit"
        assert not any(name.startswith("browse.") for name in archive.names_called())


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_reaches_exactly_the_screens_of_the_matrix(role: Role) -> None:
    archive = FakeArchive(5, role=role)
    async with at_work(archive) as (app, pilot):
        for mode, (_, permission) in WORK_MODES.items():
            app.perform(actions.BY_ID[f"global.go-{mode}"])
            await pilot.pause()
            assert (app.current_mode == mode) is app.desk.may(permission), mode


def test_every_action_has_a_method_somewhere() -> None:
    """A key in the registry that does nothing would be a lie in the help."""
    from importlib import import_module

    from tuipacs.ui.application import TuipacsApp
    from tuipacs.ui.screens.elements import ElementsScreen
    from tuipacs.ui.screens.preview import PreviewScreen
    from tuipacs.ui.widgets.line_view import LineView

    owners: dict[str, type] = {
        "global": TuipacsApp,
        "list": LineView,
        "preview": PreviewScreen,
        "elements": ElementsScreen,
    }
    for mode, (name, _) in WORK_MODES.items():
        owners[mode] = getattr(import_module(f"tuipacs.ui.screens.{mode}"), name)
    for action in actions.ACTIONS:
        assert hasattr(owners[action.scope], f"action_{action.method}"), action.id


def test_reasons_name_the_roles_that_may() -> None:
    assert actions.needs_role(Permission.MANAGE_USERS) == "needs role admin"
