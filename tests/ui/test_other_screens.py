"""Incoming, jobs, nodes, users, audit, system, help, quit, command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Button, Input

from tests.ui.driving import FakeLauncher, at_work, program, screen_text, type_ahead, until
from tests.ui.fake_archive import NOW, FakeArchive, association, running_job
from tuipacs.domain.node import AssociationRecord, AssociationState, ContextOutcome
from tuipacs.domain.permissions import Role
from tuipacs.domain.system import ModalityUse, TlsHealth
from tuipacs.errors import ConflictError
from tuipacs.schema.messages import Empty, ImportRequest
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.import_paths import ImportDialog
from tuipacs.ui.dialogs.quit import QuitDialog
from tuipacs.ui.dialogs.user import AddUserDialog
from tuipacs.ui.rates import Rates
from tuipacs.ui.screens.audit import AuditScreen
from tuipacs.ui.screens.incoming import IncomingScreen
from tuipacs.ui.screens.system import sparkline, storage_bars
from tuipacs.ui.widgets.job_cells import progress_bar, short_title


def words(text: str) -> str:
    return " ".join(text.split())


async def test_incoming_sorts_what_is_stuck_up_and_explains_refused_contexts() -> None:
    archive = FakeArchive(5)
    archive.associations = [
        association(1, AssociationState.RELEASED, calling_ae_title="DONE_ONE"),
        association(2, AssociationState.REJECTED, calling_ae_title="STRANGER", reason="unknown"),
        association(3, AssociationState.OPEN, calling_ae_title="LIVE_ONE"),
    ]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: "STRANGER" in screen_text(app))
        text = screen_text(app)
        assert text.index("LIVE_ONE") < text.index("STRANGER") < text.index("DONE_ONE")
        await pilot.press("enter")
        await until(pilot, lambda: "abstract syntax not supported" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "abstract syntax not supported" not in screen_text(app))


async def test_arrivals_glow_for_a_moment() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: app.screen.is_mounted and "KNEE LEFT" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, IncomingScreen)
        assert not any(screen.studies.glows(line) for line in range(screen.studies.line_count))
        archive.receive(3)
        await until(pilot, lambda: screen.studies.glows(0))


async def test_both_ports_stand_in_the_first_line() -> None:
    archive = FakeArchive(5)
    archive.tls = TlsHealth(port=2762, subject="a", sha256="ab" * 32, expires_at=NOW + 10**8)
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "SCP 11112 +2762 TLS" in screen_text(app).splitlines()[0])
        await pilot.press("q")
        quit_words = "ARCH1 receives on ports 11112 and 2762 (TLS)"
        await until(pilot, lambda: quit_words in words(screen_text(app).replace("│", "")))


async def test_what_a_dialog_asks_for_is_asked_once_however_often_enter_is_pressed() -> None:
    """The second request would find the user there already, and tell of a failure."""
    archive = FakeArchive(5, role=Role.ADMIN)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "u", "a")
        await until(pilot, lambda: isinstance(app.screen, AddUserDialog) and app.screen.focused)
        sentence = "a long sentence 1"
        archive.gate = asyncio.Event()
        type_ahead(app, "bob", "tab", "tab", sentence, "tab", sentence, "enter")
        await pilot.pause(0.1)
        type_ahead(app, "enter", "enter")
        await pilot.pause(0.1)
        archive.gate.set()
        await until(pilot, lambda: not isinstance(app.screen, AddUserDialog))
        assert archive.asked["users.add"] == 1


async def test_import_takes_an_absolute_path_and_submits_a_job() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        type_ahead(app, "I")
        await until(pilot, lambda: isinstance(app.screen, ImportDialog) and app.screen.focused)
        type_ahead(app, "here", "enter")
        await until(pilot, lambda: "The path must be absolute" in screen_text(app))
        app.screen.query_one("#path", Input).value = "/media/cd"
        await pilot.press("enter")
        await until(pilot, lambda: "imports.submit" in archive.names_called())
        ((_, request),) = [call for call in archive.calls if call[0] == "imports.submit"]
        assert request == ImportRequest(paths=("/media/cd",))
        await until(pilot, lambda: "jobs 1▸41%" in screen_text(app).splitlines()[0])


async def test_a_key_and_what_it_asks_for_can_be_typed_in_one_burst() -> None:
    """The dialog is not there yet when the path is typed; the path must not act as keys."""
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        type_ahead(app, "I", "/q/quit", "enter")
        await until(pilot, lambda: "imports.submit" in archive.names_called())
        assert app.is_running


async def test_users_are_disabled_after_a_question_and_the_matrix_is_shown() -> None:
    archive = FakeArchive(5, role=Role.ADMIN)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        await pilot.press("g", "u")
        await until(pilot, lambda: "dr_roe" in screen_text(app))
        assert "view objects" in screen_text(app)
        await pilot.press("j", "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "rt_anna (technologist)" in screen_text(app)
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: archive.users[1].disabled)


async def test_the_audit_log_says_that_it_has_only_the_newest_records() -> None:
    archive = FakeArchive(5, role=Role.AUDITOR)
    archive.audit_total = 700
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, AuditScreen)
        screen.most = 400
        await until(pilot, lambda: screen.rows.line_count == 200)
        assert "700 records" in screen_text(app)
        await pilot.press("G")
        await until(pilot, lambda: screen.rows.line_count == 400)
        await pilot.press("G")
        full = "newest 400 of 700 records; older: tuipacs audit list --limit 0"
        await until(pilot, lambda: full in screen_text(app))
        await pilot.pause(0.05)
        assert archive.names_called()["audit.list"] == 2
        screen.most = 1000
        await pilot.press("k")
        await until(pilot, lambda: screen.rows.line_count == 600)
        await pilot.press("G")
        await until(pilot, lambda: screen.rows.line_count == 700)
        assert "newest" not in screen_text(app)


async def test_the_audit_log_loads_more_near_the_end_and_shows_a_verified_chain() -> None:
    archive = FakeArchive(5, role=Role.AUDITOR)
    async with at_work(archive) as (app, pilot):
        await until(pilot, lambda: "500 records" in screen_text(app))
        assert archive.names_called()["audit.list"] == 1
        await pilot.press("G")
        await until(pilot, lambda: archive.names_called()["audit.list"] == 2)
        await pilot.press("v")
        await until(pilot, lambda: "✓ chain verified: 500 records" in screen_text(app))
        type_ahead(app, "/", "refused nothing has this", "enter")
        await until(pilot, lambda: "no record has these words" in screen_text(app))


async def test_a_broken_chain_is_told_loudly() -> None:
    archive = FakeArchive(5, role=Role.AUDITOR)
    broken = archive.do_audit_verify(msgspec.UNSET)  # type: ignore[arg-type]
    archive.do_audit_verify = lambda _: msgspec.structs.replace(  # type: ignore[method-assign]
        broken, ok=False, first_bad=17, message="its hash does not fit"
    )
    async with at_work(archive) as (app, pilot):
        await pilot.press("v")
        await until(pilot, lambda: "breaks at record 17" in words(screen_text(app)))


async def test_quitting_names_running_jobs_and_keeps_receiving_by_default() -> None:
    archive = FakeArchive(5)
    archive.jobs = [running_job(1)]
    async with at_work(archive) as (app, pilot):
        await until(pilot, lambda: app.desk.jobs)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog) and app.screen.focused)
        text = words(screen_text(app))
        assert "import /media/cd 41%" in text
        assert "Stopping the archive needs role admin" in text
        assert app.screen.query_one("#stop", Button).disabled
        await pilot.press("escape")
        assert app.is_running
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog) and app.screen.focused)
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    assert not archive.stopped
    assert "sessions.logout" in archive.names_called()


async def test_an_administrator_can_stop_the_archive_while_quitting() -> None:
    archive = FakeArchive(5, role=Role.ADMIN)
    async with at_work(archive) as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        app.screen.query_one("#stop", Button).press()
        await until(pilot, lambda: not app.is_running)
    assert archive.stopped


async def test_a_refused_stop_does_not_quit() -> None:
    archive = FakeArchive(5, role=Role.ADMIN)
    archive.failures["system.stop"] = ConflictError("it stops already")
    async with at_work(archive) as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        app.screen.query_one("#stop", Button).press()
        await until(pilot, lambda: "not stopped: it stops already" in words(screen_text(app)))
        assert app.is_running


async def test_the_help_finds_an_action_and_does_it() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        type_ahead(app, "?", "sort", "enter")
        await until(pilot, lambda: "by newest study" in screen_text(app))


async def test_the_command_line_goes_places_and_says_what_it_does_not_know() -> None:
    archive = FakeArchive(40)
    async with at_work(archive) as (app, pilot):
        type_ahead(app, ":", "sys", "enter")
        await until(pilot, lambda: app.current_mode == "system")
        type_ahead(app, ":", "filter mod:mr", "enter")
        await until(pilot, lambda: "6 of 40 patients" in screen_text(app))
        type_ahead(app, ":", "nonsense", "enter")
        await until(pilot, lambda: "there is no command" in words(screen_text(app)))


async def test_leader_keys_typed_in_one_burst_lead_there() -> None:
    async with at_work(FakeArchive(40)) as (app, pilot):
        type_ahead(app, "jjjgs")
        await until(pilot, lambda: app.current_mode == "system")
        type_ahead(app, "ga")
        await until(pilot, lambda: app.current_mode == "archive")
        type_ahead(app, "Ggg")
        await pilot.pause()
        assert app.screen.table.cursor == 0  # type: ignore[attr-defined]


async def test_the_popup_of_the_leader_shows_what_cannot_be_reached_and_why() -> None:
    async with at_work(FakeArchive(5, role=Role.VIEWER)) as (app, pilot):
        await pilot.press("g")
        await until(pilot, lambda: "Go to users  needs role admin" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Go to users" not in screen_text(app))


async def test_the_palette_takes_no_screenshots_of_patients() -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Data elements" in screen_text(app))
        type_ahead(app, "screenshot")
        await pilot.pause(0.3)
        assert "Save an SVG" not in screen_text(app)


async def test_a_theme_is_chosen_and_remembered(tmp_path: Path) -> None:
    from tests.ui.driving import program

    archive = FakeArchive(5)
    file = tmp_path / "prefs" / "screens.json"
    async with at_work(archive, app=program(archive, preferences=file)) as (app, pilot):
        type_ahead(app, ":", "theme daylight", "enter")
        await until(pilot, lambda: app.theme == "daylight")
    assert program(archive, preferences=file).theme == "daylight"


def test_bars_and_sparks_are_as_long_as_asked() -> None:
    assert "".join(progress_bar(41, 100, 16)) == "━━━━━━╸─────────"
    assert progress_bar(1, 0, 4) == ("", "────")
    assert progress_bar(9, 3, 4) == ("━━━━", "")
    assert sparkline([0, 1, 2, 4], 3) == "▃▅█"
    assert sparkline([0, 0], 5) == "▁▁"


def test_a_rate_is_known_after_a_moment_and_falls_when_nothing_comes() -> None:
    rates = Rates()
    assert rates.of(1, 0, 0.0) is None
    assert rates.of(1, 20, 2.0) == 10
    assert rates.of(1, 20, 30.0) == 0
    rates.keep([])
    assert rates.of(1, 20, 31.0) is None


async def test_quitting_a_demo_says_that_its_archive_goes() -> None:
    """Nothing keeps receiving then."""
    archive = FakeArchive(5, role=Role.ADMIN)
    launcher = FakeLauncher(archive)
    launcher.is_demo = True
    async with at_work(archive, app=program(archive, launcher=launcher)) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: "The demo ends with this screen" in screen_text(app))
        assert "Keep receiving" not in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running)
    assert not archive.stopped


async def test_leaving_an_archive_that_is_away_promises_nothing() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        archive.reachable = False
        await until(pilot, lambda: not app.desk.reachable)
        await pilot.press("q")
        await until(pilot, lambda: "The archive cannot be reached" in words(screen_text(app)))
        assert "Keep receiving" not in screen_text(app)


async def test_the_largest_form_shows_its_error_and_its_buttons_on_80x24() -> None:
    """Adding a user: a name, six roles, two passwords, and why it was refused."""
    archive = FakeArchive(5, role=Role.ADMIN)
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "u", "a")
        await until(pilot, lambda: isinstance(app.screen, AddUserDialog) and app.screen.focused)
        type_ahead(app, "bob", "tab", "tab", "short", "tab", "short", "enter")
        await until(pilot, lambda: "15 characters or more." in words(screen_text(app)))
        text = screen_text(app)
        assert "Cancel" in text
        assert "Add a user" in text
        assert "Password again" in text


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("import /media/cd/IMAGES", ("import IMAGES", "/media/cd")),
        ("import /media/cd/IMAGES/ and 2 more", ("import IMAGES and 2 more", "/media/cd")),
        ("import /cd", ("import cd", "/")),
        ("import cd", ("import cd", "")),
        ("import /", ("import /", "")),
    ],
)
def test_jobs_are_told_apart_by_the_end_of_their_path(title: str, shown: tuple[str, str]) -> None:
    assert short_title(title) == shown


async def test_the_whole_reason_of_an_abort_can_be_read_on_80x24() -> None:
    archive = FakeArchive(5)
    reason = "the peer aborted (source 0, reason 0)"
    archive.associations = [association(1, AssociationState.ABORTED, reason=reason)]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: isinstance(app.screen, IncomingScreen) and app.desk.associations)
        await pilot.press("enter")
        await until(pilot, lambda: reason in screen_text(app))


LONG_REASON = (
    "rejected by the archive: a certificate with a SHA-256 of its own is expected from this node,"
    " and the caller showed another one"
)


def refused_caller(key: int = 2) -> AssociationRecord:
    """All that one can be told about a caller that was turned away."""
    return association(
        key,
        AssociationState.REJECTED,
        calling_ae_title="MR_ROOM2",
        address="2001:db8:85a3::8a2e:370:7334",
        known_node=False,
        reason=LONG_REASON,
        last_status="0xA700 out of resources: the disk is full",
        is_tls=True,
        certificate_sha256="ab" * 32,
        user="anna",
        implementation="MR_SOFT_7",
        remark="user identity not looked at: it is of the type 5",
        contexts=(
            ContextOutcome(
                abstract_syntax="1.2.840.10008.5.1.4.1.1.88.68",
                abstract_syntax_name="Simplified Adult Echo SR Storage",
                transfer_syntax="1.2.826.0.1.3680043.10.99, JPEG 2000 Image Compression",
                accepted=False,
                reason="none of the transfer syntaxes is taken: " + "JPEG 2000 " * 9 + "END",
            ),
        ),
    )


async def test_why_a_caller_was_refused_and_who_it_is_can_be_read_at_80_columns() -> None:
    archive = FakeArchive(5)
    archive.associations = [refused_caller()]
    async with at_work(archive, size=(80, 60)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: isinstance(app.screen, IncomingScreen) and app.desk.associations)
        await pilot.press("enter")
        await until(pilot, lambda: "END" in screen_text(app))
        read = words(screen_text(app).replace("│", ""))
        for wanted in (
            LONG_REASON,
            "0xA700 out of resources: the disk is full",
            "from 2001:db8:85a3::8a2e:370:7334 over TLS",
            "certificate abababababab…",
            "user anna",
            "called ARCH1",
            "MR_SOFT_7",
            "user identity not looked at: it is of the type 5",
            "JPEG 2000 END",
        ):
            assert wanted in read, wanted


async def test_what_is_unfolded_at_the_lower_edge_comes_into_view() -> None:
    archive = FakeArchive(5)
    archive.associations = [refused_caller(key) for key in range(30)]
    async with at_work(archive, size=(80, 40)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: isinstance(app.screen, IncomingScreen) and app.desk.associations)
        await pilot.press("G", "enter")
        await until(pilot, lambda: "JPEG 2000 END" in words(screen_text(app).replace("│", "")))
        screen = app.screen
        assert isinstance(screen, IncomingScreen)
        await pilot.press("j", "j", "j")
        record = screen.current_association
        assert screen.calls.cursor == 32
        await pilot.press("enter")
        await until(pilot, lambda: screen.calls.line_count == 30)
        assert screen.current_association == record, "folding leaves the cursor where it belongs"
        assert screen.calls.cursor == 29


async def test_the_cursor_stays_on_its_row_when_the_width_changes() -> None:
    archive = FakeArchive(5)
    archive.associations = [refused_caller(), association(3, AssociationState.RELEASED)]
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: isinstance(app.screen, IncomingScreen) and app.desk.associations)
        screen = app.screen
        assert isinstance(screen, IncomingScreen)
        await pilot.press("enter", "G")
        before, wide = screen.calls.current_key, screen.calls.line_count
        assert before == 3
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: screen.calls.line_count > wide)
        assert screen.calls.current_key == before
        await until(pilot, lambda: "CT_ROOM1" in screen_text(app))


@pytest.mark.parametrize("width", [36, 60, 96])
def test_the_bars_of_all_modalities_start_and_end_in_line(width: int) -> None:
    status = FakeArchive(5).do_system_status(Empty())
    uses = (
        *status.modalities,
        ModalityUse(modality="RTSTRUCT", series=1, instances=4, size_bytes=88_000),
        ModalityUse(modality="", series=1, instances=4, size_bytes=88_000),
    )
    lines = storage_bars(msgspec.structs.replace(status, modalities=uses), width).plain.split("\n")
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width
    assert {line.index("━") for line in lines} == {9}


async def test_a_refused_context_is_named_where_its_words_do_not_fit_on_80x24() -> None:
    """What does not fit is cut at its end; only numbers are left out as a whole."""
    archive = FakeArchive(5)
    archive.associations = [association(1, AssociationState.OPEN)]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: isinstance(app.screen, IncomingScreen) and app.desk.associations)
        await pilot.press("enter")
        await until(pilot, lambda: "Study Root Query/Retrieve" in screen_text(app))


@pytest.mark.parametrize(
    ("days", "problem", "words"),
    [
        (400, "", "port 2762, certificate for 400 more days"),
        (3, "", "port 2762, certificate for 3 more days"),
        (-1, "", "the certificate has EXPIRED"),
        (400, "the new TLS files are not used", "the new TLS files are not used"),
    ],
)
async def test_the_certificate_and_its_end_stand_on_the_system_screen(
    days: int, problem: str, words: str
) -> None:
    archive = FakeArchive(5, role=Role.ADMIN)
    archive.tls = TlsHealth(
        port=2762,
        subject="archive",
        sha256="ab" * 32,
        expires_at=NOW + days * 86400 + 3600,
        problem=problem,
    )
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "s")
        await until(pilot, lambda: words in screen_text(app))
