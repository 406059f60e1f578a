"""How the screens look: compared with pictures that a person has approved.

After a wanted change: ``pytest tests/ui/test_snapshots.py --snapshot-update``, then look at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from textual.pilot import Pilot

from tests.ui.driving import hold_still, log_in, program, screen_text, until
from tests.ui.fake_archive import FakeArchive, association, running_job
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import Role
from tuipacs.ui.application import TuipacsApp

Compare = Callable[..., bool]


def scene(role: Role = Role.ADMIN) -> FakeArchive:
    """An archive with a bit of everything."""
    archive = FakeArchive(120, role=role)
    archive.jobs = [running_job(1)]
    archive.associations = [
        association(1, AssociationState.OPEN),
        association(
            2,
            AssociationState.REJECTED,
            calling_ae_title="US_NEW",
            known_node=False,
            contexts=(),
            reason="unknown caller: it may only test the connection",
        ),
    ]
    return archive


def compare(
    snap_compare: Compare,
    size: tuple[int, int],
    keys: Iterable[str],
    shown: str,
    role: Role = Role.ADMIN,
) -> None:
    """Log in, press keys, wait for a text, compare."""
    archive = scene(role)
    app: TuipacsApp = program(archive)

    async def run_before(pilot: Pilot[int]) -> None:
        await log_in(pilot, archive)
        await until(pilot, lambda: app.desk.jobs and app.desk.associations)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await until(pilot, lambda: shown in screen_text(app))
        await pilot.pause(0.3)

        hold_still(app)

    assert snap_compare(app, terminal_size=size, run_before=run_before)


def test_archive_on_80x24(snap_compare: Compare) -> None:
    compare(snap_compare, (80, 24), ["enter", "j", "enter", "space"], "1 marked")


def test_archive_on_100x30(snap_compare: Compare) -> None:
    compare(snap_compare, (100, 30), [*"jjjjj"], "conflict")


def test_archive_with_picture_on_160x45(snap_compare: Compare) -> None:
    compare(snap_compare, (160, 45), ["enter"], "W 400 L 40")


def test_incoming_on_80x24(snap_compare: Compare) -> None:
    compare(snap_compare, (80, 24), ["g", "i", "enter"], "context")


@pytest.mark.parametrize("role", [Role.VIEWER])
def test_popup_of_the_leader_for_a_viewer(snap_compare: Compare, role: Role) -> None:
    archive = FakeArchive(120, role=role)
    app: TuipacsApp = program(archive)

    async def run_before(pilot: Pilot[int]) -> None:
        await log_in(pilot, archive)
        await until(pilot, lambda: "DOE^JOHN" in screen_text(app))
        await pilot.press("g")
        await until(pilot, lambda: "needs role admin" in screen_text(app))
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=(80, 24), run_before=run_before)


def test_quit_dialog_on_80x24(snap_compare: Compare) -> None:
    compare(snap_compare, (80, 24), ["q"], "Keep receiving")


def test_users_on_160x45(snap_compare: Compare) -> None:
    compare(snap_compare, (160, 45), ["g", "u"], "dr_roe")


def test_nodes_on_80x24(snap_compare: Compare) -> None:
    compare(snap_compare, (80, 24), ["g", "n"], "CT in room 1")


def test_node_dialog_on_80x24(snap_compare: Compare) -> None:
    compare(snap_compare, (80, 24), ["g", "n", "e"], "Its certificate")


def test_node_dialog_on_160x45(snap_compare: Compare) -> None:
    compare(snap_compare, (160, 45), ["g", "n", "a"], "Jobs at once")
