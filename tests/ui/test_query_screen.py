"""Query/Retrieve with real keys: the form, answers that stream in, badges, detail, retrieving."""

from __future__ import annotations

import asyncio

import msgspec
from textual.widgets import Input

from tests.ui.driving import at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tests.ui.fake_remote import answer_of, study
from tuipacs.domain.node import CallService
from tuipacs.domain.permissions import Role
from tuipacs.domain.remote import HERE, NodeState, RemoteQuery
from tuipacs.errors import SessionLockedError
from tuipacs.schema.remote_messages import (
    CompareStart,
    RemoteStart,
    RetrieveRequest,
    RetrieveTarget,
)
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.query import QueryDialog
from tuipacs.ui.dialogs.retrieve import RetrieveDialog
from tuipacs.ui.screens.query import QueryScreen

SIZES = ((80, 24), (200, 50))


def asked_for(archive: FakeArchive, name: str) -> list[msgspec.Struct]:
    return [request for called, request in archive.calls if called == name]


async def open_query(app, pilot) -> QueryScreen:  # type: ignore[no-untyped-def]
    """The form is open, and takes keys."""
    await pilot.press("g", "q")
    await until(pilot, lambda: isinstance(app.screen, QueryDialog) and app.screen.focused)
    return next(s for s in app.screen_stack if isinstance(s, QueryScreen))


async def search(app, pilot, *keys: str) -> QueryScreen:  # type: ignore[no-untyped-def]
    screen = await open_query(app, pilot)
    type_ahead(app, *(keys or ("doe", "enter")))
    await until(pilot, lambda: app.screen is screen and screen.rows.line_count)
    return screen


async def test_the_form_asks_all_ticked_nodes_and_rows_stream_in_with_badges() -> None:
    """At both sizes one sees what is here, who has it, and who did not answer."""
    for size in SIZES:
        archive = FakeArchive(5)
        archive.next_piece = asyncio.Event()
        async with at_work(archive, size=size) as (app, pilot):
            screen = await search(app, pilot)
            assert asked_for(archive, "remote.start") == [
                RemoteStart(nodes=(HERE, 7, 8), query=RemoteQuery(patient_name="doe"))
            ]
            text = screen_text(app)
            assert "asking" in text
            assert text.index("DOE^N1") < text.index("DOE^N2") < text.index("DOE^N3")
            line = next(line for line in text.splitlines() if "DOE^N2" in line)
            assert "partial" in line and "◐ PACS1 6" in line
            assert "missing" in next(line for line in text.splitlines() if "DOE^N1" in line)
            assert "have" in next(line for line in text.splitlines() if "DOE^N3" in line)
            archive.next_piece.set()
            await until(pilot, lambda: "unreachable" in screen_text(app))
            assert "not all answered to the end" in screen_text(app)
            assert not screen.is_asking


async def test_who_did_not_answer_last_time_is_not_asked_unless_ticked() -> None:
    archive = FakeArchive(5)
    first, second = archive.remote_nodes
    archive.remote_nodes = [
        msgspec.structs.replace(first, answers=True),
        msgspec.structs.replace(second, answers=False),
    ]
    async with at_work(archive) as (app, pilot):
        await open_query(app, pilot)
        text = screen_text(app)
        assert "[x] PACS1" in text
        assert "[ ] PACS2            ✗ did not answer" in text
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "[x] PACS2" in screen_text(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "[x]" not in screen_text(app))
        type_ahead(app, "doe", "enter")
        await until(pilot, lambda: "Tick whom to ask" in screen_text(app))
        await pilot.press("ctrl+t", "enter")
        await until(pilot, lambda: asked_for(archive, "remote.start"))
        (asked,) = asked_for(archive, "remote.start")
        assert isinstance(asked, RemoteStart)
        assert asked.nodes == (HERE, 7, 8)


async def test_many_nodes_leave_room_for_the_studies() -> None:
    """At 80x24 at most four lines tell how they stand, each with the reason."""
    archive = FakeArchive(5)
    words = "NODE1 at 10.0.0.1:104 refused the connection"
    archive.pieces = [
        msgspec.structs.replace(
            piece,
            nodes=tuple(
                answer_of(key, f"NODE{key}", NodeState.UNREACHABLE, words=words)
                for key in range(1, 9)
            ),
        )
        for piece in archive.pieces
    ]
    async with at_work(archive) as (app, pilot):
        await search(app, pilot)
        lines = screen_text(app).splitlines()
        told = [line for line in lines if "unreachable" in line]
        assert len(told) == 4
        assert "refused the connection" in told[0] and "10.0.0.1" not in told[0]


async def test_a_wrong_date_is_told_in_the_form_and_nobody_is_asked() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await open_query(app, pilot)
        type_ahead(app, "tab", "tab", "soon", "enter")
        await until(pilot, lambda: "a date is one of" in screen_text(app))
        assert not asked_for(archive, "remote.start")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, QueryScreen))


async def test_an_empty_form_asks_nobody() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await open_query(app, pilot)
        type_ahead(app, "enter")
        await until(pilot, lambda: "the form is empty" in screen_text(app))
        assert not asked_for(archive, "remote.start")


async def test_the_form_keeps_what_was_asked_and_who() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await search(app, pilot)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, QueryDialog) and app.screen.focused)
        assert app.screen.query_one("#patient_name", Input).value == "doe"
        await pilot.press(*["tab"] * 8, "space", *["tab"] * 4, "enter")
        await until(pilot, lambda: len(asked_for(archive, "remote.start")) == 2)
        again = asked_for(archive, "remote.start")[1]
        assert isinstance(again, RemoteStart)
        assert again.nodes == (7, 8)


async def test_escape_cancels_what_runs_and_then_goes_back() -> None:
    archive = FakeArchive(5)
    archive.next_piece = asyncio.Event()
    async with at_work(archive) as (app, pilot):
        screen = await search(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: asked_for(archive, "remote.cancel"))
        await until(pilot, lambda: "cancelled" in screen_text(app))
        assert app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "archive")


async def test_enter_compares_one_by_one_and_r_retrieves_one_series() -> None:
    archive = FakeArchive(5)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        screen = await search(app, pilot)
        await until(pilot, lambda: not screen.is_asking)
        await pilot.press("j", "enter")
        await until(pilot, lambda: "2 missing here" in screen_text(app))
        assert asked_for(archive, "remote.compare") == [
            CompareStart(node=7, study_instance_uid="1.2.2")
        ]
        await pilot.press("tab", "j", "r")
        await until(pilot, lambda: asked_for(archive, "retrievals.submit"))
        target = RetrieveTarget(study_instance_uid="1.2.2", series_instance_uid="1.2.2.2")
        assert asked_for(archive, "retrievals.submit") == [
            RetrieveRequest(node=7, targets=(target,))
        ]
        await pilot.press("escape")
        await until(pilot, lambda: not screen.has_class("-detail"))


async def test_marked_studies_are_retrieved_from_who_has_most_of_each() -> None:
    archive = FakeArchive(5)
    archive.remote_nodes[1] = msgspec.structs.replace(
        archive.remote_nodes[1], services=(CallService.QUERY, CallService.GET)
    )
    rows = (study(7, 1, 10), study(8, 1, 12), study(7, 2, 6), study(8, 2, None))
    archive.pieces = [msgspec.structs.replace(archive.pieces[-1], rows=rows)]
    async with at_work(archive) as (app, pilot):
        await search(app, pilot)
        await pilot.press("space", "space", "r")
        await until(pilot, lambda: len(asked_for(archive, "retrievals.submit")) == 2)
        assert asked_for(archive, "retrievals.submit") == [
            RetrieveRequest(node=8, targets=(RetrieveTarget(study_instance_uid="1.2.1"),)),
            RetrieveRequest(node=7, targets=(RetrieveTarget(study_instance_uid="1.2.2"),)),
        ]


async def test_one_uid_of_two_patients_is_flagged_and_retrieved_only_after_a_question() -> None:
    archive = FakeArchive(5)
    rows = (study(7, 1, 10), study(8, 1, 10, patient_name="ROE^JANE", patient_id="9"))
    archive.pieces = [msgspec.structs.replace(archive.pieces[-1], rows=rows)]
    async with at_work(archive) as (app, pilot):
        await search(app, pilot)
        assert "⚑" in screen_text(app)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and app.screen.focused)
        text = screen_text(app)
        assert "ROE^JANE" in text and "DOE^N1" in text and "patient ID, name" in text
        await pilot.press("enter")  # on Cancel
        await until(pilot, lambda: isinstance(app.screen, QueryScreen))
        assert not asked_for(archive, "retrievals.submit")


async def test_s_retrieves_to_another_node() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await search(app, pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RetrieveDialog) and app.screen.focused)
        await pilot.press("down", "down", "space")  # PACS2
        type_ahead(app, "tab", "tab", "tab", "enter")
        await until(pilot, lambda: asked_for(archive, "retrievals.submit"))
        (request,) = asked_for(archive, "retrievals.submit")
        assert isinstance(request, RetrieveRequest)
        assert (request.node, request.destination) == (7, 8)


async def test_a_badge_turns_when_the_objects_have_come() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        screen = await search(app, pilot)
        await until(pilot, lambda: not screen.is_asking)
        archive.holdings = {"1.2.1": 10, "1.2.2": 6, "1.2.3": 5}
        archive.receive(3)
        await until(pilot, lambda: "missing" not in screen_text(app).split("Here", 1)[1][:400])
        line = next(line for line in screen_text(app).splitlines() if "DOE^N1" in line)
        assert "have" in line and "● PACS1 10" in line


async def test_a_query_that_a_lock_interrupted_is_asked_again_after_it() -> None:
    archive = FakeArchive(5)
    archive.next_piece = asyncio.Event()
    async with at_work(archive) as (app, pilot):
        screen = await search(app, pilot)
        archive.failures["remote.poll"] = SessionLockedError("the session is locked")
        await until(pilot, lambda: not screen.is_asking)
        archive.failures.clear()
        archive.next_piece.set()
        screen.unwiped()
        await until(pilot, lambda: len(asked_for(archive, "remote.start")) == 2)
        await until(pilot, lambda: "unreachable" in screen_text(app))


async def test_a_hostile_name_of_another_archive_reaches_no_terminal() -> None:
    archive = FakeArchive(5)
    hostile = "EVIL^\x1b[2J\u202e[/red][@click=app.quit]x[/]"
    rows = (study(7, 1, 10, patient_name=hostile, study_description=hostile),)
    nodes = (answer_of(7, "PACS1", NodeState.REFUSED, 1, hostile),)
    archive.pieces = [msgspec.structs.replace(archive.pieces[-1], rows=rows, nodes=nodes)]
    async with at_work(archive, size=(200, 50)) as (app, pilot):
        await search(app, pilot)
        text = screen_text(app)
        assert "EVIL^" in text and "[@click=app.quit]" in text
        assert "\x1b" not in text and "\u202e" not in text


async def test_who_may_not_query_is_told_so() -> None:
    archive = FakeArchive(5, role=Role.VIEWER)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "q")
        await until(pilot, lambda: "needs role technologist" in screen_text(app))
        assert app.current_mode == "archive"
