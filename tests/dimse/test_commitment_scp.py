"""Storage commitment that nodes ask of us: what we answer, what we report, and how stubbornly."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import pytest
from pydicom.filereader import read_dataset

from tests.dimse.faulty_peer import EVENT, Fault, FaultyPeer
from tests.dimse.raw_peer import EXPLICIT, RawPeer, element, us
from tests.dimse.whole_site import CT, WholeSite
from tests.ports import unused_port
from tests.waiting import eventually
from tuipacs.dicom.commitment import (
    MAX_DATASET,
    CommitmentDataset,
    TooManyReferencesError,
    encode_commitment,
    read_commitment,
)
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.gathering import Gathering
from tuipacs.dimse.syntaxes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid
from tuipacs.scp.status import normalized_refusal
from tuipacs.scu.n_action import request_commitment

MR = "1.2.840.10008.5.1.4.1.1.4"
CONTEXT = (1, STORAGE_COMMITMENT, [EXPLICIT])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSite]:
    site = WholeSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def modality(site: WholeSite) -> Iterator[FaultyPeer]:
    """A modality that asks; the archive knows how to call it."""
    with FaultyPeer(title="CT1") as modality:
        node = site.know("CT1", port=modality.port)
        yield modality
        site.forget(node)


def reports(modality: FaultyPeer) -> list[CommitmentDataset]:
    """What it was told, with the right event type, in the archive's role of the SCP."""
    found = []
    for asked in modality.asked:
        if asked.field == EVENT:
            report = read_commitment(asked.dataset, EXPLICIT)
            assert asked.sop_instance_uid == STORAGE_COMMITMENT_INSTANCE
            assert asked.elements[0x1002] == us(2 if report.failed else 1)
            found.append(report)
    return found


def report_of(modality: FaultyPeer, uid: str) -> CommitmentDataset:
    return eventually(
        lambda: next((one for one in reports(modality) if one.transaction_uid == uid), None)
    )


def ask(site: WholeSite, items: Sequence[tuple[str, str]], uid: str = "") -> tuple[str, int | None]:
    uid = uid or new_uid()
    return uid, request_commitment(site.peer("CT1"), uid, items).status


def test_what_is_here_is_committed_to_on_a_new_association(
    site: WholeSite, modality: FaultyPeer
) -> None:
    _, items = site.put("CT1", 3)
    uid, status = ask(site, items)
    assert status == 0x0000
    report = report_of(modality, uid)
    assert (report.referenced, report.failed) == (items, [])
    (told,) = eventually(lambda: site.audited(f"transaction {uid}: reported"))
    assert told[0] == "Application Activity"
    assert "3 committed, 0 not" in told[1]


def test_the_bytes_are_looked_at_and_not_the_row(site: WholeSite, modality: FaultyPeer) -> None:
    _, items = site.put("CT1", 3)
    _damage(site, items[0][1])
    site.file_of(items[1][1]).unlink()
    uid, _ = ask(site, items)
    report = report_of(modality, uid)
    assert report.referenced == [items[2]]
    assert report.failed == [(*items[0], 0x0110), (*items[1], 0x0110)]


def test_what_is_not_here_or_of_another_class_is_not_committed_to(
    site: WholeSite, modality: FaultyPeer
) -> None:
    _, items = site.put("CT1", 1)
    other, unknown = (MR, items[0][1]), (CT, "1.2.3.4.5")
    uid, _ = ask(site, [other, unknown])
    report = report_of(modality, uid)
    assert report.referenced == []
    assert report.failed == [(*other, 0x0119), (*unknown, 0x0112)]


def test_a_reference_without_a_uid_fails_alone(site: WholeSite, modality: FaultyPeer) -> None:
    """The rest of the list is answered as ever; only a list that cannot be read is refused."""
    _, items = site.put("CT1", 2)
    lacking = [(CT, ""), ("", items[0][1]), ("", "")]
    uid, status = ask(site, [items[0], *lacking, items[1]])
    assert status == 0x0000
    (told,) = eventually(lambda: [one for one in modality.asked if one.field == EVENT])
    report = read_commitment(told.dataset, EXPLICIT, may_lack_uids=True)
    assert (report.transaction_uid, report.referenced) == (uid, items)
    assert report.failed == [(CT, "", 0x0112), ("", items[0][1], 0x0119), ("", "", 0x0112)]


def _retrieve_ae_title(report: bytes | bytearray) -> str:
    dataset = read_dataset(io.BytesIO(report), False, is_little_endian=True)
    return str(dataset.get("RetrieveAETitle", ""))


def test_a_report_says_where_to_retrieve_from(site: WholeSite, modality: FaultyPeer) -> None:
    """(0008,0054) is ours; nothing is named where nothing is committed (PS3.4 Table J.3-2)."""
    _, items = site.put("CT1", 1)
    for asked_for, title in ((items, site.peer("CT1").called_ae_title), ([(CT, "1.2.3")], "")):
        uid, _ = ask(site, asked_for)
        report_of(modality, uid)
        last = [one for one in modality.asked if one.field == EVENT][-1]
        assert _retrieve_ae_title(last.dataset) == title


def test_a_thousand_of_one_object_are_one(site: WholeSite, modality: FaultyPeer) -> None:
    _, items = site.put("CT1", 1)
    uid, _ = ask(site, items * 1000)
    assert report_of(modality, uid).referenced == items


def test_the_same_request_again_is_reported_again(site: WholeSite, modality: FaultyPeer) -> None:
    """Its answer, or the report, may have been lost on the way."""
    _, items = site.put("CT1", 2)
    uid, _ = ask(site, items)
    report_of(modality, uid)
    assert ask(site, items, uid)[1] == 0x0000
    eventually(lambda: len(reports(modality)) == 2)
    assert reports(modality)[0] == reports(modality)[1]


def test_another_list_under_a_known_transaction_is_refused(
    site: WholeSite, modality: FaultyPeer
) -> None:
    _, items = site.put("CT1", 2)
    uid, _ = ask(site, items)
    assert ask(site, items[:1], uid)[1] == 0x0115
    assert report_of(modality, uid).referenced == items


def test_of_what_has_ended_no_list_is_kept_and_it_is_recognised_all_the_same(
    site: WholeSite, modality: FaultyPeer
) -> None:
    """What a node asks about may be invented, and as much as it likes."""
    _, items = site.put("CT1", 1)
    items += [(CT, f"1.2.3.{number}") for number in range(50)]
    uid, _ = ask(site, items)
    for _ in range(2):
        eventually(lambda: _state(site, uid)[0] == "reported")
        assert _kept(site, uid) == 0
        assert ask(site, items[:-1], uid)[1] == 0x0115
        assert ask(site, items, uid)[1] == 0x0000
    eventually(lambda: len(reports(modality)) == 3)
    assert all(report.referenced == items[:1] for report in reports(modality))
    assert all(len(report.failed) == 50 for report in reports(modality))


def _kept(site: WholeSite, uid: str) -> int:
    with site.index.read() as reader:
        sql = (
            "SELECT count(*) FROM commitment c JOIN commitment_item i ON i.commitment = c.id"
            " WHERE c.transaction_uid = ?"
        )
        return int(reader.scalar(sql, (uid,)))


# -- requests that are none


def _action(
    *, kind: int = 1, instance: str = STORAGE_COMMITMENT_INSTANCE, dataset: int = 1
) -> bytes:
    body = element(0x0003, STORAGE_COMMITMENT.encode()) + element(0x0100, us(0x0130))
    body += element(0x0110, us(7)) + element(0x0800, us(1 if dataset else 0x0101))
    body += element(0x1001, instance.encode()) + element(0x1008, us(kind))
    return element(0, len(body).to_bytes(4, "little")) + body


GOOD = encode_commitment("1.2.3", [(CT, "1.2.3.4")], implicit=False)


@pytest.mark.parametrize(
    ("command", "dataset", "status"),
    [
        (_action(kind=2), GOOD, 0x0123),
        (_action(instance="1.2.3"), GOOD, 0x0112),
        (_action(dataset=0), None, 0x0115),
        (_action(), b"", 0x0115),
        (_action(), GOOD[:-3], 0x0115),
        (_action(), b"\xff" * 64, 0x0115),
        (_action(), encode_commitment("1.2.3", [], implicit=False), 0x0115),
        (_action(), encode_commitment("1.2.3", [(CT, "../../x")], implicit=False), 0x0115),
        (_action(), encode_commitment("1.2.3", [(CT, "1" * 129)], implicit=False), 0x0115),
        (_action(), encode_commitment("", [(CT, "1.2")], implicit=False), 0x0115),
        (_action(), encode_commitment("1.2.3", [], [(CT, "1.2", 1)], implicit=False), 0x0115),
        (_action(), GOOD + GOOD, 0x0115),
    ],
    ids=[
        "another action",
        "another instance",
        "no list",
        "an empty list",
        "a list cut off",
        "no list at all",
        "no objects",
        "a path for a UID",
        "a UID too long",
        "no transaction",
        "failed ones",
        "all of it twice",
    ],
)
def test_a_request_that_is_none_is_answered(
    site: WholeSite, modality: FaultyPeer, command: bytes, dataset: bytes | None, status: int
) -> None:
    with RawPeer(site.port) as peer:
        assert peer.associate([CONTEXT], calling=b"CT1").contexts[1][0] == 0
        peer.request(1, command, dataset)
        assert peer.status() == status
        peer.request(1, _action(), GOOD)  # and the association goes on
        assert peer.status() == 0x0000


def test_a_list_without_measure_is_refused_for_want_of_room(
    site: WholeSite, modality: FaultyPeer
) -> None:
    """It is not kept while it comes, and the association goes on."""
    with RawPeer(site.port) as peer:
        peer.associate([CONTEXT], calling=b"CT1")
        peer.request(1, _action(), bytes(MAX_DATASET + 2))
        assert peer.status() == 0x0213
        peer.request(1, _action(), GOOD)
        assert peer.status() == 0x0000
    assert normalized_refusal(TooManyReferencesError("more than that")).status == 0x0213


def test_a_node_that_could_not_be_told_is_refused_at_once(site: WholeSite) -> None:
    node = site.know("CT1")
    assert ask(site, [(CT, "1.2.3")])[1] == 0x0110
    site.forget(node)


@pytest.mark.parametrize("knows", [False, True])
def test_who_may_not_ask_gets_no_context(site: WholeSite, knows: bool) -> None:
    node = site.know("OTHER", NodeService.STORE) if knows else None
    with RawPeer(site.port) as peer:
        contexts: list[tuple[int, str, list[str]]] = [CONTEXT, (3, CT, [EXPLICIT])]
        reply = peer.associate(contexts, calling=b"OTHER")
        assert reply.kind == ("accept" if knows else "reject")
        assert not knows or reply.contexts[1][0] == 1
    if node is not None:
        site.forget(node)


# -- the report


def test_a_report_waits_for_a_modality_that_is_off_also_over_a_restart(
    site: WholeSite,
) -> None:
    port = unused_port()
    node = site.know("CT1", port=port)
    _, items = site.put("CT1", 2)
    uid, status = ask(site, items)
    assert status == 0x0000
    eventually(lambda: _state(site, uid)[1] == 1)
    site.stop()
    with FaultyPeer(title="CT1", port=port) as modality:
        site.clock.ahead += 3600.0
        site.start()
        report = report_of(modality, uid)
    assert report.referenced == items
    site.forget(node)


def _damage(site: WholeSite, sop_instance_uid: str) -> None:
    file = site.file_of(sop_instance_uid)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)


def test_a_late_report_tells_what_is_sound_now(site: WholeSite, modality: FaultyPeer) -> None:
    """Commitment begins with the report, not with the request (PS3.4 J.3.3)."""
    modality.deeds[EVENT].append(0x0110)
    _, items = site.put("CT1", 2)
    uid, _ = ask(site, items)
    assert report_of(modality, uid).referenced == items
    eventually(lambda: _state(site, uid) == ("unreported", 1))
    _damage(site, items[0][1])
    site.clock.ahead += 600.0
    site.archive._reporter.wake()
    eventually(lambda: len(reports(modality)) == 2)
    late = reports(modality)[1]
    assert (late.referenced, late.failed) == ([items[1]], [(*items[0], 0x0110)])


def test_what_was_looked_at_before_a_restart_is_looked_at_again(site: WholeSite) -> None:
    port = unused_port()
    node = site.know("CT1", port=port)
    _, items = site.put("CT1", 1)
    uid, _ = ask(site, items)
    eventually(lambda: _state(site, uid)[1] == 1)
    _damage(site, items[0][1])
    site.stop()
    with FaultyPeer(title="CT1", port=port) as modality:
        site.clock.ahead += 60.0
        site.start()
        assert report_of(modality, uid).failed == [(*items[0], 0x0110)]
    site.forget(node)


@pytest.mark.parametrize("status", [0x0110, 0x0211])
def test_a_report_that_is_refused_is_made_again(
    site: WholeSite, modality: FaultyPeer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The status is in the log; the node's words may name a patient, and are not."""
    caplog.set_level("INFO", "tuipacs")
    modality.comment = "not for DOE^JANE"
    modality.deeds[EVENT].append(status)
    _, items = site.put("CT1", 1)
    uid, _ = ask(site, items)
    report_of(modality, uid)
    eventually(lambda: _state(site, uid) == ("unreported", 1))
    site.clock.ahead += 60.0
    site.archive._reporter.wake()
    eventually(lambda: len(reports(modality)) == 2)
    assert eventually(lambda: _state(site, uid)[0] == "reported")
    assert f"tried again in 10 s: status 0x{status:04X}" in caplog.text
    assert "DOE" not in caplog.text


def test_a_modality_that_does_not_answer_keeps_no_other_waiting(
    site: WholeSite, modality: FaultyPeer
) -> None:
    _, items = site.put("CT1", 1)
    with FaultyPeer(title="CT2", reject=[Fault.SILENCE]) as silent:
        node = site.know("CT2", port=silent.port)
        assert request_commitment(site.peer("CT2"), new_uid(), items).status == 0x0000
        eventually(lambda: silent.attempts == 1)
        uid, _ = ask(site, items)
        assert report_of(modality, uid).referenced == items
        site.forget(node)


def test_a_node_that_is_removed_is_told_nothing(site: WholeSite) -> None:
    """And another one that gets its key is not told in its place."""
    node = site.know("CT1", port=unused_port())
    _, items = site.put("CT1", 1)
    uid, _ = ask(site, items)
    eventually(lambda: _state(site, uid)[1] == 1)
    site.forget(node)
    assert _kept(site, uid) == 0
    with FaultyPeer(title="CT1") as modality:
        again = site.know("CT1", port=modality.port)
        assert again.key == node.key  # as SQLite has it: the trap that this is about
        site.clock.ahead += 3600.0
        site.archive._reporter.wake()
        other, _ = ask(site, items)
        report_of(modality, other)
        assert [one.transaction_uid for one in reports(modality)] == [other]
        site.forget(again)


def test_who_is_never_reached_is_given_up_on(site: WholeSite) -> None:
    node = site.know("CT1", port=unused_port())
    uid, _ = ask(site, [(CT, "1.2.3")])
    eventually(lambda: _state(site, uid)[1] == 1)
    site.clock.ahead += 4 * 86400.0
    site.archive._reporter.wake()
    eventually(lambda: _state(site, uid)[0] == "given up")
    site.forget(node)


def _state(site: WholeSite, uid: str) -> tuple[str, int]:
    with site.index.read() as reader:
        sql = "SELECT state, attempts FROM commitment WHERE transaction_uid = ?"
        row = reader.one(sql, (uid,))
    assert row is not None
    return row[0], row[1]


# -- where it was asked


class Taken:
    """Takes reports on our own association, and answers with a status."""

    def __init__(self, status: int = 0x0000) -> None:
        self.status = status
        self.reports: list[CommitmentDataset] = []

    def __call__(self, request: Request) -> Gathering:
        too_large = Answer(0x0213, "too large")
        return Gathering(1 << 20, too_large, self._take)

    def _take(self, data: bytearray) -> Answer:
        self.reports.append(read_commitment(data, EXPLICIT))
        return Answer(self.status, "as told")


@pytest.fixture
def near(site: WholeSite) -> Iterator[NodeRecord]:
    """A node that is told where it asked, and cannot be called."""
    node = site.know("CT1", here=True)
    yield node
    site.forget(node)


def test_a_report_comes_where_it_was_asked(site: WholeSite, near: NodeRecord) -> None:
    _, items = site.put("CT1", 2)
    taken, uid = Taken(), new_uid()
    response = request_commitment(site.peer("CT1"), uid, items, wait=10, on_report=taken)
    assert response.status == 0x0000
    assert [(one.transaction_uid, one.referenced) for one in taken.reports] == [(uid, items)]
    eventually(lambda: _state(site, uid)[0] == "reported")


def test_who_does_not_wait_for_the_report_is_called(site: WholeSite) -> None:
    """Its release comes instead of an answer."""
    with FaultyPeer(title="CT1") as modality:
        node = site.know("CT1", port=modality.port, here=True)
        _, items = site.put("CT1", 1)
        uid, status = ask(site, items)
        assert status == 0x0000
        eventually(lambda: _state(site, uid)[0] == "unreported")
        site.clock.ahead += 700.0
        site.archive._reporter.wake()
        assert report_of(modality, uid).referenced == items
        site.forget(node)


def test_an_answer_to_a_report_that_was_not_made_is_a_breach(
    site: WholeSite, near: NodeRecord
) -> None:
    answer = element(0x0100, us(0x8100)) + element(0x0120, us(9)) + element(0x0800, us(0x0101))
    answer += element(0x0900, us(0))
    with RawPeer(site.port) as peer:
        peer.associate([CONTEXT], calling=b"CT1")
        peer.request(1, answer)
        assert peer.read()[0] == 7


def test_reports_of_many_requests_are_told_apart(site: WholeSite, near: NodeRecord) -> None:
    _, items = site.put("CT1", 2)
    with RawPeer(site.port) as peer:
        peer.associate([CONTEXT], calling=b"CT1")
        uids, ids = [new_uid(), new_uid()], []
        for uid, one in zip(uids, items, strict=True):
            peer.request(1, _action(), encode_commitment(uid, [one], implicit=False))
            assert peer.status() == 0x0000
            ids.append(peer.answer()[0x0110])
            _, body = peer.read()
            assert read_commitment(body[6:], EXPLICIT).transaction_uid == uid
        for number, status in ((ids[1], 0x0110), (ids[0], 0x0000)):
            answer = element(0x0100, us(0x8100)) + element(0x0120, number)
            answer += element(0x0800, us(0x0101)) + element(0x0900, us(status))
            peer.request(1, answer)
        eventually(lambda: _state(site, uids[0]) == ("reported", 0))
        eventually(lambda: _state(site, uids[1]) == ("unreported", 1))
