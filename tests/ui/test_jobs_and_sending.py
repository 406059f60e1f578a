"""Jobs and their lanes on screen, and sending from the archive."""

from __future__ import annotations

import msgspec
from textual.widgets import Button

from tests.ui.driving import at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive, running_job
from tests.ui.fake_jobs import items, send_job
from tuipacs.domain.job import JobPriority, JobState, LaneRecord
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.node_health import NodeHealth
from tuipacs.domain.permissions import Role
from tuipacs.schema.job_messages import RowRef, SendRequest
from tuipacs.schema.messages import PageRequest
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.send import SendDialog
from tuipacs.ui.format import date
from tuipacs.ui.screens.archive import ArchiveScreen
from tuipacs.ui.screens.jobs import JobsScreen
from tuipacs.ui.widgets.choices import Tick


def node(key: int, title: str, *services: CallService) -> NodeRecord:
    call = NodeCall(host="10.0.4.20", port=104, services=services)
    return NodeRecord(
        key=key,
        ae_title=title,
        address="",
        services=(),
        description="",
        created_at=0.0,
        call=call,
    )


def with_nodes() -> FakeArchive:
    """PACS2 takes objects and commits; VIEWER takes them; QUERYONLY does neither."""
    archive = FakeArchive(5)
    archive.nodes += [
        node(2, "PACS2", CallService.SEND, CallService.COMMIT),
        node(3, "VIEWER", CallService.SEND),
        node(4, "QUERYONLY", CallService.QUERY),
    ]
    return archive


async def test_jobs_show_progress_and_a_running_one_can_be_cancelled() -> None:
    archive = FakeArchive(5)
    archive.jobs = [running_job(1)]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "import cd" in screen_text(app))
        assert "410/1,000" in screen_text(app)
        assert "14.1/s" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "not a DICOM file" in screen_text(app))
        await pilot.press("escape")
        assert "not a DICOM file" not in screen_text(app)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: archive.jobs[0].state is JobState.CANCELLED)
        await until(pilot, lambda: "cancelled" in screen_text(app))


async def test_the_instances_of_a_job_are_shown_a_page_at_a_time() -> None:
    archive = FakeArchive(5)
    archive.jobs = [send_job(1, total=10_000, done=10_000, failed=50)]
    archive.items = items(10_000, failed=lambda n: n % 200 == 7)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "PACS2" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "10,000 objects of job" in screen_text(app))
        assert "out of resources: disk full" in screen_text(app)
        await pilot.press("tab")
        await pilot.press("G")
        await until(pilot, lambda: "10.1.7.10000" in screen_text(app))
        asked = [r.offset for name, r in archive.calls if name == "jobs.items"]
        assert set(asked) == {0, 9800}
        await pilot.press("f")
        await until(pilot, lambda: "50 failed of 10,000 objects" in screen_text(app))
        assert "Success" not in screen_text(app)
        await pilot.press("escape")
        assert "50 failed of" not in screen_text(app)


async def test_a_dead_letter_can_be_retried_and_a_done_job_can_not() -> None:
    archive = FakeArchive(5)
    archive.jobs = [
        send_job(2, state=JobState.DEAD, message="ARCH2 refused the connection"),
        send_job(1, state=JobState.DONE),
    ]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "1 dead letter" in screen_text(app))
        await pilot.press("r")
        await until(pilot, lambda: archive.jobs[0].state is JobState.QUEUED)
        await pilot.press("j", "r")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, JobsScreen)
        assert screen.lacks("retry") == "the job is done already"
        assert archive.jobs[1].state is JobState.DONE


async def test_a_job_is_paused_goes_on_and_gets_another_priority() -> None:
    archive = FakeArchive(5)
    archive.jobs = [send_job(1)]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "running" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "paused" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "queued" in screen_text(app))
        await pilot.press("plus")
        await until(pilot, lambda: archive.jobs[0].priority is JobPriority.HIGH)
        await until(pilot, lambda: "▲ send" in screen_text(app))
        await pilot.press("plus", "minus")
        await until(pilot, lambda: archive.jobs[0].priority is JobPriority.NORMAL)


async def test_a_lane_is_paused_from_its_own_list() -> None:
    archive = FakeArchive(5)
    archive.jobs = [send_job(1)]
    archive.lanes = [LaneRecord(node=2, node_title="PACS2", running=1)]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "Lane" in screen_text(app))
        await pilot.press("tab", "p")
        await until(pilot, lambda: archive.lanes[0].paused)
        await until(pilot, lambda: "paused" in screen_text(app))


async def test_sending_names_each_study_and_chooses_no_node_by_itself() -> None:
    archive = with_nodes()
    async with at_work(archive) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        said = screen_text(app)
        owner = archive.ordered(PageRequest())[0]
        assert owner.patient_id in said
        for study in archive.studies_of(owner):
            assert date(study.study_date) in said
        assert f"in all {owner.number_of_patient_related_instances} objects" in said
        assert "PACS2" in said and "VIEWER" in said
        assert "QUERYONLY" not in said and "CT_ROOM1" not in said
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: "Which node?" in screen_text(app))
        await pilot.press("space")  # on the first one
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: "send.submit" in archive.names_called())
        ((_, request),) = [call for call in archive.calls if call[0] == "send.submit"]
        assert request == SendRequest(rows=(RowRef(level=Level.PATIENT, key=owner.key),), node=2)
        await until(pilot, lambda: isinstance(app.screen, ArchiveScreen))
        await pilot.press("s")  # the node that was sent to is offered again
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        assert isinstance(app.screen, SendDialog) and app.screen.node is not None
        assert app.screen.node.ae_title == "PACS2"


async def test_the_only_node_is_chosen_and_says_whether_it_answered() -> None:
    archive = FakeArchive(5)
    archive.nodes.append(node(2, "PACS2", CallService.SEND))
    archive.health_of_nodes[2] = NodeHealth(key=2, checked_at=1.0, words="refused")
    async with at_work(archive) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        assert "✗ PACS2" in screen_text(app)
        assert isinstance(app.screen, SendDialog) and app.screen.node is not None


async def test_marked_rows_are_sent_together_with_commitment_and_first() -> None:
    archive = with_nodes()
    async with at_work(archive) as (app, pilot):
        await pilot.press("space", "space", "s")
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        await pilot.press("space")
        app.screen.query_one("#commit", Tick).value = True
        app.screen.query_one("#first", Tick).value = True
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: "send.submit" in archive.names_called())
        ((_, request),) = [call for call in archive.calls if call[0] == "send.submit"]
        assert len(request.rows) == 2
        assert (request.commit, request.priority) == (True, JobPriority.HIGH)


async def test_commitment_is_offered_only_where_the_node_is_asked_for_it() -> None:
    archive = with_nodes()
    async with at_work(archive) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        tick = app.screen.query_one("#commit", Tick)
        assert tick.disabled
        await pilot.press("space")  # PACS2
        await until(pilot, lambda: not tick.disabled)
        tick.value = True
        await pilot.press("down", "enter")  # VIEWER
        await until(pilot, lambda: tick.disabled)
        assert tick.value is False


async def test_the_whole_dialog_fits_into_80_by_24_with_many_marks_and_nodes() -> None:
    archive = with_nodes()
    archive.nodes += [node(10 + n, f"NODE{n}", CallService.SEND) for n in range(20)]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press(*["space"] * 5, "s")
        await until(pilot, lambda: isinstance(app.screen, SendDialog) and app.screen.focused)
        said = screen_text(app)
        assert "… and more" in said
        assert "Cancel" in said and " Send " in said and "before other jobs" in said


async def test_without_a_node_to_send_to_one_is_told_how_to_add_one() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: "No node can be sent to yet" in screen_text(app))


async def test_a_viewer_sends_nothing() -> None:
    archive = with_nodes()
    archive.role = Role.VIEWER
    async with at_work(archive) as (app, pilot):
        type_ahead(app, "s")
        await pilot.pause()
        assert "nodes.list" not in archive.names_called()


async def test_a_job_of_a_node_that_is_gone_is_still_readable() -> None:
    archive = FakeArchive(5)
    archive.jobs = [msgspec.structs.replace(send_job(1), node=-2, state=JobState.DEAD)]
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "PACS2" in screen_text(app))


async def test_news_to_a_screen_that_is_leaving_is_no_crash() -> None:
    archive = FakeArchive(5)
    archive.jobs = [send_job(1)]
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "j")
        await until(pilot, lambda: "running" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, JobsScreen)
        await screen.remove_children()
        screen.news("jobs")
