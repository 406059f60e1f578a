"""The nodes screen: the list, the dialog with its pages, the ladder, and imported lists."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from tests.ui.driving import at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import NOW, FakeArchive, association
from tuipacs.domain.node import AssociationState, CallService, NodeCall
from tuipacs.domain.node_health import NodeHealth
from tuipacs.domain.permissions import NodeService, Role
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.node import NodeDialog
from tuipacs.ui.dialogs.node_import import NodeFileDialog, NodesFoundDialog
from tuipacs.ui.dialogs.node_test import NodeTestDialog
from tuipacs.ui.widgets.choices import Tick

CALL = NodeCall(host="10.0.4.9", port=11112, services=(CallService.ECHO, CallService.SEND))


def words(text: str) -> str:
    """As read, whatever the lines and frames."""
    return " ".join(text.replace("│", " ").split())


def admin() -> FakeArchive:
    """The archive of an administrator."""
    return FakeArchive(5, role=Role.ADMIN)


def callable_node(archive: FakeArchive) -> None:
    """The one node can be called."""
    archive.nodes[0] = msgspec.structs.replace(archive.nodes[0], call=CALL)


async def on_nodes(app: TuipacsApp, pilot: Pilot[int], shown: str = "CT_ROOM1") -> None:
    """Go to the nodes."""
    await pilot.press("g", "n")
    await until(pilot, lambda: shown in screen_text(app))


async def dialog(app: TuipacsApp, pilot: Pilot[int], key: str) -> NodeDialog:
    """Open the dialog with a key."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, NodeDialog) and app.screen.focused)
    assert isinstance(app.screen, NodeDialog)
    return app.screen


async def test_a_node_is_added_by_typing_with_pages_turned_by_page_down() -> None:
    archive = admin()
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        await dialog(app, pilot, "a")
        type_ahead(app, "PACS2", "tab", "second archive", "tab", "10.0.4.9", "tab")
        type_ahead(app, "pacs2.example.org", "tab", "backspace", "backspace", "backspace", "11112")
        await pilot.press("pagedown")
        await until(pilot, lambda: "search in it" in screen_text(app))
        await pilot.press("tab", "tab", "space")  # C-FIND
        await pilot.press("pagedown")
        await until(pilot, lambda: "It prefers" in screen_text(app))
        await pilot.press("space")  # no C-ECHO
        await pilot.press("pagedown")
        await until(pilot, lambda: "Jobs at once" in screen_text(app))
        type_ahead(app, "backspace", "4", "tab", "22:00-6:00", "enter", "enter", "enter", "enter")
        type_ahead(app, "enter", "enter")
        await until(pilot, lambda: len(archive.nodes) == 2)
        node = archive.nodes[-1]
        assert (node.ae_title, node.address, node.description) == (
            "PACS2",
            "10.0.4.9",
            "second archive",
        )
        assert node.services == (NodeService.ECHO, NodeService.STORE, NodeService.QUERY)
        assert (node.call.host, node.call.port) == ("pacs2.example.org", 11112)
        assert node.call.services == (CallService.SEND, CallService.QUERY, CallService.MOVE)
        assert (node.call.max_associations, node.call.window) == (4, "22:00-06:00")
        await until(pilot, lambda: "pacs2.example" in screen_text(app))


async def test_a_faulty_field_is_pointed_at_on_whichever_page_it_is() -> None:
    archive = admin()
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        await dialog(app, pilot, "a")
        type_ahead(app, "MR_1")
        await pilot.press("pageup")  # the last page
        await until(pilot, lambda: "Window" in screen_text(app))
        type_ahead(app, "tab", "at night", "enter", "enter", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: "write 22:00-06:00" in screen_text(app))
        assert app.screen.focused is app.screen.query_one("#window")
        app.screen.query_one("#window", Input).value = ""
        app.screen.query_one("#address", Input).value = "10.0.0.300"
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: "neither an IP address nor a network" in words(screen_text(app)))
        assert app.screen.focused is app.screen.query_one("#address")
        assert "Cancel" in screen_text(app)
        assert len(archive.nodes) == 1


async def test_every_page_fits_80x24_with_an_error_below_it() -> None:
    archive = admin()
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        shown = await dialog(app, pilot, "a")
        for page in range(4):
            shown.complain("a reason that is so long that it takes two lines of the card " * 2)
            await pilot.pause()
            last = list(shown.query(f"#page-{page} Input, #page-{page} Tick"))[-1]
            lines = screen_text(app).splitlines()
            assert last.region.bottom < shown.query_one("#ok").region.y
            assert "Add" in lines[shown.query_one("#ok").region.y]
            assert shown.query_one("#ok").region.bottom <= 23
            await pilot.press("pagedown")


async def test_a_node_is_changed_and_what_was_not_touched_stays() -> None:
    archive = admin()
    callable_node(archive)
    before = archive.nodes[0]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        await dialog(app, pilot, "e")
        type_ahead(app, "tab", "CT of ada", "ctrl+s")
        await until(pilot, lambda: archive.nodes[0] != before)
        after = archive.nodes[0]
        assert after.description == "CT of ada"
        kept = msgspec.structs.replace(
            after, description=before.description, created_at=before.created_at
        )
        assert kept == before


async def test_an_unknown_caller_becomes_a_node_with_one_key() -> None:
    archive = admin()
    archive.associations = [
        association(
            2,
            AssociationState.REJECTED,
            calling_ae_title="US_NEW",
            address="10.0.7.88",
            known_node=False,
            is_tls=True,
            certificate_sha256="ab" * 32,
        )
    ]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: "US_NEW" in screen_text(app))
        await dialog(app, pilot, "a")
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: len(archive.nodes) == 2)
        node = archive.nodes[-1]
        assert (node.ae_title, node.address) == ("US_NEW", "10.0.7.88")
        assert node.services == (NodeService.ECHO, NodeService.STORE)
        assert node.certificate_sha256 == "ab" * 32  # who called is who is let in
        assert node.call == NodeCall()  # a caller is not called back unasked


async def test_a_node_can_be_bound_to_a_certificate_and_shows_it() -> None:
    archive = admin()
    async with at_work(archive, size=(100, 30)) as (app, pilot):
        await on_nodes(app, pilot)
        shown = await dialog(app, pilot, "a")
        shown.query_one("#ae-title", Input).value = "MR_1"
        shown.query_one("#certificate", Input).value = "AB:CD"
        shown.query_one("#user", Tick).value = True
        shown.query_one("#ok", Button).press()
        await until(pilot, lambda: "64 hexadecimal digits" in words(screen_text(app)))
        shown.query_one("#certificate", Input).value = ":".join(["AB"] * 32)
        shown.query_one("#ok", Button).press()
        await until(pilot, lambda: "cert. + user" in screen_text(app))
        node = archive.nodes[-1]
        assert (node.certificate_sha256, node.require_tls) == ("ab" * 32, False)
        assert node.require_identity


async def test_at_80_columns_proof_is_told_and_why_a_node_cannot_be_tested() -> None:
    archive = admin()
    (node,) = archive.nodes
    changes: list[dict[str, object]] = [
        {"certificate_sha256": "ab" * 32, "require_identity": True},
        {"require_tls": True},
        {"require_identity": True},
    ]
    archive.nodes += [
        msgspec.structs.replace(node, key=key, ae_title=f"N{key}", **more)
        for key, more in enumerate(changes, start=2)
    ]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot, "N4")
        lines = [words(line) for line in screen_text(app).splitlines()]
        shown = {line.split()[0]: line for line in lines if line}
        assert "Proof" in shown["AE"] or "Proof" in screen_text(app)
        assert "cert. + user" in shown["N2"]
        assert "TLS" in shown["N3"]
        assert "TLS + user" in shown["N4"]
        await pilot.press("t")
        await until(pilot, lambda: "CT_ROOM1 is never called" in words(screen_text(app)))
        assert archive.asked["nodes.test"] == 0


async def test_a_refused_node_keeps_what_was_typed_and_says_what_to_do() -> None:
    """A known node that shows a new certificate: its form comes filled in from the incoming."""
    archive = admin()
    archive.associations = [
        association(
            2,
            AssociationState.REJECTED,
            calling_ae_title="CT_ROOM1",
            address="10.0.4.17",
            known_node=False,
            is_tls=True,
            certificate_sha256="cd" * 32,
        )
    ]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: "rejected" in screen_text(app))
        shown = await dialog(app, pilot, "a")
        shown.query_one("#description", Input).value = "the new tube"
        shown.query_one("#ok", Button).press()
        told = "CT_ROOM1 is known from 10.0.4.17 already. To change that one: esc, g n, e."
        error = shown.query_one("#error", Static)
        await until(pilot, lambda: str(error.content) == told)
        assert "Cancel" in screen_text(app)
        assert app.screen is shown
        assert shown.query_one("#description", Input).value == "the new tube"
        archive.nodes.clear()
        await until(pilot, lambda: not shown.query_one("#ok").has_class("-active"))
        shown.query_one("#ok", Button).press()
        await until(pilot, lambda: app.screen is not shown)
        assert archive.nodes[0].description == "the new tube"
        await until(pilot, lambda: "CT_ROOM1 is a known node now" in words(screen_text(app)))


async def test_removing_a_node_asks_first_names_its_jobs_and_starts_on_cancel() -> None:
    archive = admin()
    archive.health_of_nodes[1] = NodeHealth(key=1, open_jobs=3)
    async with at_work(archive) as (app, pilot):
        await on_nodes(app, pilot)
        for answer in ("cancel", "ok"):
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Confirm) and app.screen.focused)
            assert app.screen.focused is app.screen.query_one("#cancel")
            assert "CT_ROOM1" in screen_text(app)
            assert "3 jobs to it will fail" in words(screen_text(app))
            app.screen.query_one(f"#{answer}", Button).press()
            await until(pilot, lambda: not isinstance(app.screen, Confirm))
        await until(pilot, lambda: not archive.nodes)


async def test_the_ladder_is_shown_rung_by_rung_while_the_test_runs() -> None:
    archive = admin()
    callable_node(archive)
    archive.top = asyncio.Event()
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        await pilot.press("t")
        await until(pilot, lambda: "… TCP" in screen_text(app))
        archive.climbed = 2
        await until(pilot, lambda: "… Association" in screen_text(app))
        assert "✓ TCP" in screen_text(app)
        assert "without TLS" in screen_text(app)
        archive.top.set()
        await until(pilot, lambda: "✗ Association" in screen_text(app))
        text = words(screen_text(app))
        assert "(result 1, source 1, reason 3)" in text
        assert "→ make this archive known over there" in text
        assert "trying" not in text
        asked = archive.asked["nodes.test"]
        await pilot.press("tab", "enter")  # Again
        await until(pilot, lambda: archive.asked["nodes.test"] == asked + 1)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, NodeTestDialog))


async def test_the_last_test_and_a_paused_lane_stand_in_the_list() -> None:
    archive = admin()
    callable_node(archive)
    archive.nodes.append(
        msgspec.structs.replace(archive.nodes[0], key=2, ae_title="PACS2", paused=True)
    )
    archive.health_of_nodes[1] = NodeHealth(
        key=1, checked_at=NOW, reached=False, words="tcp: refused the connection"
    )
    async with at_work(archive, size=(120, 30)) as (app, pilot):
        await on_nodes(app, pilot)
        text = screen_text(app)
        assert "✗" in text
        assert "paused" in text
        assert "tcp: refused the connection" in words(text)  # in the card


async def test_a_technologist_may_test_nodes_and_not_change_them() -> None:
    archive = FakeArchive(5, role=Role.TECHNOLOGIST)
    callable_node(archive)
    async with at_work(archive, size=(100, 30)) as (app, pilot):
        await on_nodes(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: "needs role admin" in screen_text(app))
        await pilot.press("E")
        await until(pilot, lambda: "C-ECHO was answered" in screen_text(app))


async def test_a_list_of_another_program_is_shown_first_and_added_as_a_whole(
    tmp_path: Path,
) -> None:
    file = tmp_path / "acrnema.map"
    file.write_text("PACS7 10.0.0.7 104 un\nV* * 1234 un\nCT_ROOM1 10.0.4.17 104 un\n")
    archive = admin()
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await on_nodes(app, pilot)
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, NodeFileDialog) and app.screen.focused)
        type_ahead(app, str(tmp_path / "nothing"), "enter")
        await until(pilot, lambda: "there is no file" in words(screen_text(app)))
        app.screen.query_one("#path", Input).value = str(file)
        type_ahead(app, "enter")
        await until(pilot, lambda: isinstance(app.screen, NodesFoundDialog) and app.screen.focused)
        text = words(screen_text(app))
        assert "1 node to add from acrnema.map" in text
        assert "a pattern is no AE title" in text
        assert "CT_ROOM1 is known already" in text
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: len(archive.nodes) == 2)
        await until(pilot, lambda: "PACS7" in screen_text(app))


async def test_the_last_words_of_a_test_are_read_to_the_end_at_80x24() -> None:
    archive = admin()
    callable_node(archive)
    told = "association: rejected permanently: calling AE title not recognised (reason 3) " + (
        "by what listens over there at the end of the line"
    )
    key = archive.nodes[0].key
    archive.health_of_nodes = {key: NodeHealth(key=key, checked_at=NOW, words=told)}
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "n")
        await until(pilot, lambda: "at the end of the line" in screen_text(app))
        assert all(key in screen_text(app).splitlines()[-1] for key in ("P pause", "I import"))
