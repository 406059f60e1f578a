"""The routing screen with real keys: rules, their preview, and why a study was sent."""

from __future__ import annotations

import msgspec
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.driving import at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import Role
from tuipacs.domain.route import RouteLevel
from tuipacs.errors import UsageError
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.dialogs.route import RouteDialog
from tuipacs.ui.dialogs.route_explain import ExplainDialog
from tuipacs.ui.screens.routes import RoutesScreen


def an_archive(role: Role = Role.ADMIN) -> FakeArchive:
    """With a node that can be sent to."""
    archive = FakeArchive(120, role=role)
    call = NodeCall(host="ws1.example", services=(CallService.SEND,))
    node = archive.nodes[0]
    archive.nodes.append(msgspec.structs.replace(node, key=7, ae_title="WS1", call=call))
    return archive


async def open_rules(app: TuipacsApp, pilot: Pilot[int]) -> RoutesScreen:
    await pilot.press("g", "o")
    await until(pilot, lambda: "of the last 7 days" in screen_text(app))
    screen = app.screen
    assert isinstance(screen, RoutesScreen)
    return screen


async def test_rules_stand_in_order_with_what_is_wrong_with_their_destination() -> None:
    archive = an_archive()
    hostile = "[red]X[/]\x1b]0;y\x07"
    archive.patients[0] = msgspec.structs.replace(archive.patients[0], patient_name=hostile)
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        assert "[red]X[/]" in screen_text(app)  # no markup, and no escape sequence
        assert "\x1b" not in screen_text(app)
        lines = screen_text(app).splitlines()
        first = next(line for line in lines if "CT to the workstation" in line)
        assert all(part in first for part in ("1  [x]", "WS1", "CT; study *CHEST*", "12"))
        second = next(line for line in lines if "everything" in line)
        assert "2  [ ]" in second
        assert "✗OLDPACS: removed from" in second
        assert "1 study still arriving" in screen_text(app)


async def test_the_preview_follows_the_cursor_and_tells_the_reason_of_a_miss() -> None:
    archive = an_archive()
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        assert "matches 11 of 40 studies" in screen_text(app)
        assert "no modality is like CT (there is MR)" in screen_text(app)
        await pilot.press("j")
        await until(pilot, lambda: "“everything” matches 40 of 40" in screen_text(app))


async def test_a_rule_is_made_with_keys_alone_and_tried_while_it_is_typed() -> None:
    archive = an_archive()
    async with at_work(archive) as (app, pilot):
        screen = await open_rules(app, pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RouteDialog) and app.screen.focused)
        type_ahead(app, "MR to WS1", "tab", "ws")
        await until(pilot, lambda: app.screen.query_one("#to", Input)._suggestion == "WS1")
        await pilot.press("right", "tab")
        type_ahead(app, "mod:MR")
        await until(pilot, lambda: "matches 11 of 40" not in screen_text(app))
        await until(pilot, lambda: "KNEE LEFT" in screen_text(app))
        await pilot.press("tab", "space", *["tab"] * 5)  # matching series only
        type_ahead(app, "30", "enter")
        await until(pilot, lambda: app.screen is screen and "MR to WS1" in screen_text(app))
        made = archive.routes[2].rule
        assert (made.name, made.nodes, made.quiet_seconds) == ("MR to WS1", (7,), 30)
        assert (made.conditions.modalities, made.level) == (("MR",), RouteLevel.SERIES)


async def test_a_condition_that_cannot_be_read_is_told_while_it_is_typed() -> None:
    archive = an_archive()
    wrong = {
        "colour:red": "there is no colour:",
        'study:"CHEST': "a quote is not closed",
        "min:5 max:2": "the maximum is less than the minimum",
    }
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RouteDialog) and app.screen.focused)
        type_ahead(app, "tab", "tab")
        for typed, words in wrong.items():
            app.screen.query_one("#what", Input).clear()
            type_ahead(app, typed)
            await until(pilot, lambda words=words: words in screen_text(app))  # type: ignore[misc]
        assert len(archive.routes) == 2


async def test_an_edit_changes_what_was_typed_and_nothing_else() -> None:
    archive = an_archive()
    before = archive.routes[1].rule
    async with at_work(archive) as (app, pilot):
        screen = await open_rules(app, pilot)
        await pilot.press("j", "e")
        await until(pilot, lambda: isinstance(app.screen, RouteDialog) and app.screen.focused)
        assert app.screen.query_one("#to", Input).value == "OLDPACS(removed)"
        type_ahead(app, "everything 2", *["tab"] * 8, "enter")
        await until(pilot, lambda: app.screen is screen)
        after = archive.routes[1].rule
        assert after == msgspec.structs.replace(before, name="everything 2")


async def test_a_destination_that_is_no_node_is_refused_in_the_dialog() -> None:
    archive = an_archive()
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RouteDialog) and app.screen.focused)
        type_ahead(app, "x", "tab", "CT_ROOM1", *["tab"] * 7, "enter")
        await until(pilot, lambda: "CT_ROOM1 is no node that can be called" in screen_text(app))
        assert len(archive.routes) == 2


async def test_the_archives_refusal_stays_in_the_dialog_with_what_was_typed() -> None:
    archive = an_archive()
    archive.failures["routes.edit"] = UsageError("the rule is not to its liking")
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, RouteDialog) and app.screen.focused)
        type_ahead(app, "typed", *["tab"] * 8, "enter")
        await until(pilot, lambda: "not to its liking" in screen_text(app))
        assert app.screen.query_one("#name", Input).value == "typed"


async def test_rules_are_switched_moved_and_removed() -> None:
    archive = an_archive()
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("space")
        await until(pilot, lambda: not archive.routes[0].rule.enabled)
        await pilot.press("J")
        await until(pilot, lambda: archive.routes[1].key == 1)
        await until(pilot, lambda: "2  [ ]  CT to" in screen_text(app))
        await pilot.press("J")  # it is the last one: nothing happens
        await pilot.press("K")  # the cursor went with the rule
        await until(pilot, lambda: archive.routes[0].key == 1)
        await until(pilot, lambda: "1  [ ]  CT to" in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: "is forgotten" in screen_text(app))
        await pilot.press("right", "enter")
        await until(pilot, lambda: [record.key for record in archive.routes] == [2])


async def test_why_a_study_was_sent_is_asked_below_and_it_is_judged_at_once() -> None:
    archive = an_archive()
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("tab", "x")
        await until(pilot, lambda: "job 17 is waiting: 312 objects to WS1" in screen_text(app))
        assert "not sent: the rule is switched" in screen_text(app)
        await pilot.press("tab", "tab", "enter")
        await until(pilot, lambda: "about to be judged" in screen_text(app))
        assert archive.forced == [0]


async def test_the_archive_screen_answers_the_same_question_for_a_study() -> None:
    archive = an_archive(Role.VIEWER)
    async with at_work(archive) as (app, pilot):
        await pilot.press("w")  # on a patient: which study?
        await until(pilot, lambda: "open the patient" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "browse.studies_of" in archive.names_called())
        await pilot.pause(0.1)
        await pilot.press("j", "w")
        await until(pilot, lambda: isinstance(app.screen, ExplainDialog))
        await until(pilot, lambda: "job 17 is waiting" in screen_text(app))
        assert "Judge now" not in screen_text(app)  # a viewer may not send


async def test_a_technologist_looks_and_is_told_who_may_change() -> None:
    archive = an_archive(Role.TECHNOLOGIST)
    async with at_work(archive) as (app, pilot):
        await open_rules(app, pilot)
        await pilot.press("d")
        await until(pilot, lambda: "needs role admin" in screen_text(app))
        await pilot.press("enter")
        await pilot.press("space")
        await pilot.pause(0.1)
        assert isinstance(app.screen, RoutesScreen)
        assert archive.routes[0].rule.enabled
