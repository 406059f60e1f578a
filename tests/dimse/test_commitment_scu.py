"""Storage commitment that we ask of a node: what its words are worth, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.dimse.archive import ADMIN
from tests.dimse.faulty_peer import Deed, Fault, FaultyPeer, Outcome
from tests.dimse.raw_peer import EXPLICIT, RawPeer, role_item
from tests.dimse.whole_site import CT, Pairs, WholeSite
from tests.waiting import eventually
from tuipacs.dicom.commitment import read_commitment
from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.dimse.syntaxes import STORAGE_COMMITMENT
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.messages import JobRequest
from tuipacs.scu.n_event_report import report_commitment

MR = "1.2.840.10008.5.1.4.1.1.4"
ACTION = 0x0130


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSite]:
    site = WholeSite(tmp_path_factory.mktemp("site"))
    site.know("CT1")
    yield site
    site.close()


class Pacs:
    """A node that is asked, and what the archive knows of it."""

    def __init__(self, site: WholeSite) -> None:
        self.played = FaultyPeer(title="PACS2", report_to=site.peer("PACS2"))
        self.node: NodeRecord = site.know("PACS2", NodeService.ECHO, port=self.played.port)

    def asked(self) -> str:
        """The transaction UID of the last request, once there is one."""
        found = eventually(lambda: [a for a in self.played.asked if a.field == ACTION])
        return read_commitment(found[-1].dataset, EXPLICIT).transaction_uid


@pytest.fixture
def pacs(site: WholeSite) -> Iterator[Pacs]:
    pacs = Pacs(site)
    with pacs.played:
        yield pacs
    site.forget(pacs.node)


@pytest.mark.parametrize("is_here", [False, True])
def test_a_study_is_committed_when_the_node_says_so(
    site: WholeSite, pacs: Pacs, is_here: bool
) -> None:
    """On an association of its own, or on ours."""
    if is_here:
        pacs.played.report_to, pacs.played.report_here = None, True
    study, _ = site.put("CT1", 3)
    job = site.ended(site.commit(study, pacs.node))
    assert (job.state, job.done) == (JobState.DONE, 3)
    assert job.message == "PACS2 has committed to 3 of 3 objects"
    assert site.said(study) == [("PACS2", 3, 3)]
    eventually(lambda: pacs.played.reported)
    assert pacs.played.reported == [0x0000]


def _says(
    change: Callable[[Pairs], tuple[Pairs, list[tuple[str, str, int]]]],
) -> Callable[..., Outcome]:
    return lambda uid, items: (uid, *change(items))


_FINAL, _PASSING = JobState.DEAD, JobState.WAITING


@pytest.mark.parametrize(
    ("outcome", "state", "words"),
    [
        (_says(lambda i: (i[:2], [(*i[2], 0x0112)])), _FINAL, "0x0112 it has no such object"),
        (_says(lambda i: (i[:2], [])), _PASSING, "its report does not name the object"),
        (_says(lambda i: ([*i[:2], (CT, "1.2.3")], [])), _PASSING, "does not name the object"),
        (_says(lambda i: ([*i[:2], (MR, i[2][1])], [])), _PASSING, "does not name the object"),
        (_says(lambda i: (i, [(*i[2], 0x0110)])), _PASSING, "0x0110 processing failure"),
        (_says(lambda i: (i, [(*i[2], 0x0213)])), _PASSING, "0x0213 it has no room"),
        (_says(lambda i: (i[:2], [(*i[2], 0x9999)])), _FINAL, "0x9999 for another reason"),
        (_says(lambda i: (i[:2], [(*i[2], 0)])), _PASSING, "0x0110 processing failure"),
    ],
)
def test_only_what_a_report_vouches_for_is_committed(
    site: WholeSite, pacs: Pacs, outcome: Callable[..., Outcome], state: JobState, words: str
) -> None:
    """What says nothing of the object is asked again later, and nothing else is."""
    pacs.played.outcome = outcome
    study, _ = site.put("CT1", 3)
    job = site.commit(study, pacs.node)
    job = eventually(lambda: now if "committed to" in (now := site.job(job)).message else None)
    assert (job.state, job.failed) == (state, int(state is _FINAL))
    assert "committed to 2 of 3 objects" in job.message
    assert words in job.message
    assert site.said(study) == [("PACS2", 2, 3)]


def test_what_may_pass_is_asked_for_again_and_nothing_else(site: WholeSite, pacs: Pacs) -> None:
    """One has no room, one is not there: the retry asks for the first, and ends with the other."""
    pacs.played.outcome = _says(lambda i: (i[:1], [(*i[1], 0x0213), (*i[2], 0x0112)]))
    study, items = site.put("CT1", 3)
    job = site.commit(study, pacs.node)
    eventually(lambda: "committed to 1 of 3" in site.job(job).message)
    pacs.played.outcome = _says(lambda i: (i, []))
    site.clock.ahead += 60.0
    site.archive._runner.look()
    job = site.ended(job)
    assert (job.state, job.done, job.failed) == (JobState.DEAD, 3, 1)
    assert "committed to 2 of 3 objects" in job.message
    last = [one for one in pacs.played.asked if one.field == ACTION][-1]
    assert read_commitment(last.dataset, EXPLICIT).referenced == items[1:2]


def test_a_report_of_others_alone_commits_nothing(site: WholeSite, pacs: Pacs) -> None:
    pacs.played.outcome = _says(lambda _: ([(CT, "1.2.3")], []))
    study, _ = site.put("CT1", 2)
    job = site.commit(study, pacs.node)
    eventually(lambda: "committed to 0 of 2" in site.job(job).message)
    assert site.said(study) == []
    assert any("1 that were not asked about" in detail for _, detail in site.audited("PACS2"))


def test_what_failed_is_asked_once_more_when_somebody_retries_it(
    site: WholeSite, pacs: Pacs
) -> None:
    pacs.played.outcome = _says(lambda i: (i[:1], [(*one, 0x0112) for one in i[1:]]))
    study, items = site.put("CT1", 3)
    job = site.ended(site.commit(study, pacs.node))
    pacs.played.outcome = _says(lambda i: (i, []))
    site.retry(job)
    assert eventually(lambda: site.job(job).state is JobState.DONE)
    assert site.said(study) == [("PACS2", 3, 3)]
    last = [one for one in pacs.played.asked if one.field == ACTION][-1]
    assert read_commitment(last.dataset, EXPLICIT).referenced == items[1:]


# -- who reports


class Silence(NamedTuple):
    """What a node was asked, and says nothing of."""

    study: str
    items: Pairs
    uid: str
    job: JobRecord


def _silent(site: WholeSite, pacs: Pacs) -> Silence:
    pacs.played.report_to = None
    study, items = site.put("CT1", 2)
    job = site.commit(study, pacs.node)
    return Silence(study, items, pacs.asked(), job)


def test_another_nodes_report_is_refused_and_told(site: WholeSite, pacs: Pacs) -> None:
    study, items, uid, _ = _silent(site, pacs)
    with FaultyPeer(title="PACS3") as other:
        node = site.know("PACS3", NodeService.ECHO, port=other.port)
        assert report_commitment(site.peer("PACS3"), uid, items, []).status == 0x0124
        site.forget(node)
    assert site.said(study) == []
    alerts = [detail for event, detail in site.audited(uid) if event == "Security Alert"]
    assert alerts == [f"reports on transaction {uid}, which another node was asked for"]
    assert report_commitment(site.peer("PACS2"), uid, items, []).status == 0x0000
    assert site.said(study) == [("PACS2", 2, 2)]


def test_a_node_that_is_not_asked_for_commitment_cannot_report(site: WholeSite, pacs: Pacs) -> None:
    _, items, uid, _ = _silent(site, pacs)
    with pytest.raises(AssociationFailedError, match="refused by the user"):
        report_commitment(site.peer("CT1"), uid, items, [])
    with pytest.raises(AssociationFailedError, match="calling AE title not recognised"):
        report_commitment(site.peer("STRANGER"), uid, items, [])


def test_a_report_on_what_nobody_asked_is_refused(site: WholeSite, pacs: Pacs) -> None:
    assert report_commitment(site.peer("PACS2"), "1.2.3", [(CT, "1.2")], []).status == 0x0115


@pytest.mark.parametrize(
    ("event_type", "failed"), [(2, 0), (1, 1), (1, 2)], ids=["2, none", "1, one", "1, all"]
)
def test_a_report_whose_type_and_lists_differ_changes_nothing(
    site: WholeSite, pacs: Pacs, event_type: int, failed: int
) -> None:
    """Which half of it is meant nobody knows (PS3.4 J.3.3.1)."""
    pacs.played.report_to, pacs.played.report_here = None, True
    pacs.played.event_type = event_type
    pacs.played.outcome = _says(lambda i: (i[failed:], [(*one, 0x0112) for one in i[:failed]]))
    study, items = site.put("CT1", 2)
    job = site.waiting(site.commit(study, pacs.node))
    assert eventually(lambda: pacs.played.reported) == [0x0115]
    assert site.said(study) == []
    alerts = [detail for event, detail in site.audited(pacs.asked()) if event == "Security Alert"]
    assert f"event type {event_type} with {failed} failed objects" in alerts[0]
    assert report_commitment(site.peer("PACS2"), pacs.asked(), items, []).status == 0x0000
    assert site.ended(job).state is JobState.DONE


def test_a_removed_nodes_report_is_not_taken_from_its_successor(
    site: WholeSite, pacs: Pacs
) -> None:
    study, items, uid, _ = _silent(site, pacs)
    site.forget(pacs.node)
    pacs.node = site.know("PACS2", NodeService.ECHO, port=pacs.played.port)
    assert report_commitment(site.peer("PACS2"), uid, items, []).status == 0x0124
    assert site.said(study) == []


def test_a_later_report_takes_back_and_gives_nothing_more(site: WholeSite, pacs: Pacs) -> None:
    study, items, uid, _ = _silent(site, pacs)
    failed = [(*items[1], 0x0110)]
    assert report_commitment(site.peer("PACS2"), uid, items[:1], failed).status == 0x0000
    assert site.said(study) == [("PACS2", 1, 2)]
    assert report_commitment(site.peer("PACS2"), uid, items, []).status == 0x0000
    assert site.said(study) == [("PACS2", 1, 2)]
    assert report_commitment(site.peer("PACS2"), uid, [], [(*items[0], 0x0112)]).status == 0x0000
    assert site.said(study) == []


def test_a_node_takes_its_commitment_back_when_it_is_asked_anew(
    site: WholeSite, pacs: Pacs
) -> None:
    study, _ = site.put("CT1", 2)
    site.ended(site.commit(study, pacs.node))
    assert site.said(study) == [("PACS2", 2, 2)]
    pacs.played.outcome = _says(lambda i: (i[:1], [(*one, 0x0112) for one in i[1:]]))
    job = site.ended(site.commit(study, pacs.node))
    assert job.state is JobState.DEAD
    assert site.said(study) == [("PACS2", 1, 2)]
    pacs.played.outcome = _says(lambda i: (i, []))
    assert site.ended(site.commit(study, pacs.node)).state is JobState.DONE
    assert site.said(study) == [("PACS2", 2, 2)]


def test_another_machine_under_the_nodes_name_is_asked_anew(site: WholeSite, pacs: Pacs) -> None:
    """Also for what is asked of the first and not reported yet: its report is not taken."""
    before, _ = site.put("CT1", 1)
    site.ended(site.commit(before, pacs.node))
    study, items, uid, job = _silent(site, pacs)
    site.waiting(job)
    with FaultyPeer(title="PACS2", report_to=site.peer("PACS2")) as other:
        pacs.node = site.move(pacs.node, other.port)
        assert site.said(before) == []
        assert report_commitment(site.peer("PACS2"), uid, items, []).status == 0x0124
        assert site.said(study) == []
        site.archive.services.jobs.resume(ADMIN, JobRequest(key=job.key))
        assert site.ended(job).state is JobState.DONE
        assert site.said(study) == [("PACS2", 2, 2)]
        assert [one.field for one in other.asked] == [ACTION]


def test_a_job_counts_no_promise_of_the_machine_before(site: WholeSite, pacs: Pacs) -> None:
    """Retried after a change of its node, it asks about what was committed to as well."""
    pacs.played.outcome = _says(lambda i: (i[:1], [(*i[1], 0x0112)]))
    study, items = site.put("CT1", 2)
    job = site.ended(site.commit(study, pacs.node))
    assert job.message.startswith("PACS2 has committed to 1 of 2 objects")
    with FaultyPeer(title="PACS2", report_to=site.peer("PACS2")) as other:
        other.outcome = _says(lambda i: (i[1:], [(*i[0], 0x0112)]))
        pacs.node = site.move(pacs.node, other.port)
        site.retry(job)
        asked = eventually(lambda: other.asked)
        again = read_commitment(asked[0].dataset, EXPLICIT).referenced
        assert sorted(again) == sorted(items)
        job = site.ended(job)
    assert job.message.startswith("PACS2 has committed to 1 of 2 objects")
    assert site.said(study) == [("PACS2", 1, 2)]


@pytest.mark.parametrize("role", [(0, 1), None])
def test_the_reporter_is_accepted_as_the_scp(
    site: WholeSite, pacs: Pacs, role: tuple[int, int] | None
) -> None:
    """Also one that forgets to name its role."""
    with RawPeer(site.port) as peer:
        user = role_item(STORAGE_COMMITMENT, *role) if role else b""
        reply = peer.associate([(1, STORAGE_COMMITMENT, [EXPLICIT])], calling=b"PACS2", user=user)
    assert reply.contexts[1][0] == 0
    assert reply.roles == ({STORAGE_COMMITMENT: role} if role else {})


# -- nodes that do not do as they should


@pytest.mark.parametrize(
    ("deed", "state", "words"),
    [
        (0x0124, JobState.DEAD, "refuses the request: 0x0124 not authorized: no room \u241b"),
        (
            0x0213,
            JobState.WAITING,
            "0x0213 resource limitation: no room \u241b",
        ),
        (Fault.VANISH, JobState.WAITING, "closed the connection"),
        (Fault.ABORT, JobState.WAITING, "aborted the association"),
        (Fault.CLOSE, JobState.WAITING, "closed the connection"),
    ],
)
def test_a_request_that_is_not_taken_on_commits_nothing(
    site: WholeSite, pacs: Pacs, deed: Deed, state: JobState, words: str
) -> None:
    pacs.played.commit.append(deed)
    pacs.played.comment = "no room \x1b"
    study, _ = site.put("CT1", 1)
    job = site.commit(study, pacs.node)
    job = site.ended(job) if state is JobState.DEAD else site.waiting(job)
    assert job.state is state
    assert words in job.message
    assert site.said(study) == []


def test_a_node_without_commitment_is_told_at_once(site: WholeSite, pacs: Pacs) -> None:
    pacs.played.takes = lambda abstract, _: abstract != STORAGE_COMMITMENT
    study, _ = site.put("CT1", 1)
    job = site.ended(site.commit(study, pacs.node))
    assert job.state is JobState.DEAD
    assert "SOP class not supported" in job.message


def test_a_report_counts_though_the_answer_to_the_request_was_lost(
    site: WholeSite, pacs: Pacs
) -> None:
    pacs.played.commit.append(Fault.CLOSE)
    study, items = site.put("CT1", 2)
    job = site.waiting(site.commit(study, pacs.node))
    assert report_commitment(site.peer("PACS2"), pacs.asked(), items, []).status == 0x0000
    assert site.said(study) == [("PACS2", 2, 2)]
    assert eventually(lambda: site.job(job).state is JobState.DONE)


def test_a_report_that_does_not_come_is_asked_for_again(site: WholeSite, pacs: Pacs) -> None:
    """Under another transaction UID: the first may be lost or still be carried out."""
    study, items, first, job = _silent(site, pacs)
    site.waiting(job)
    pacs.played.report_to = site.peer("PACS2")
    site.clock.ahead += 3700.0
    site.archive._runner.look()
    eventually(lambda: site.job(job).message == "PACS2 has not reported")
    site.clock.ahead += 60.0
    site.archive._runner.look()
    assert site.ended(job).state is JobState.DONE
    assert site.said(study) == [("PACS2", 2, 2)]
    assert pacs.asked() != first
    assert report_commitment(site.peer("PACS2"), first, items, []).status == 0x0000


def test_a_report_over_a_restart_ends_the_job(site: WholeSite, pacs: Pacs) -> None:
    study, items, uid, job = _silent(site, pacs)
    site.waiting(job)
    site.stop()
    site.start()
    assert report_commitment(site.peer("PACS2"), uid, items, []).status == 0x0000
    assert site.ended(job).state is JobState.DONE
    assert site.said(study) == [("PACS2", 2, 2)]
