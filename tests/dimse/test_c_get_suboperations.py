"""What passes inside a C-GET, PDU by PDU: counts, cancels, answers of every kind, silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.archive import ADMIN
from tests.dimse.getting import Getter, cancel, extended, response, roles
from tests.dimse.raw_peer import (
    CT,
    command,
    p_data,
    pdu,
    read_elements,
    us,
)
from tests.dimse.retrieving import Source
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET, VERIFICATION
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid
from tuipacs.schema.node_messages import NodeRemoveRequest

MR = "1.2.840.10008.5.1.4.1.1.4"
COUNT = 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("get"), unknown=UnknownCallers.ECHO, dimse_timeout=2.0)
    archive.know("ASKING", NodeService.ECHO, NodeService.GET)
    archive.know("BOTH", NodeService.GET, NodeService.STORE)
    archive.know("STORING", NodeService.STORE)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def study(archive: Source) -> list[Dataset]:
    made = list(make_study(1, COUNT))
    archive.keep_all(made)
    return made


def test_each_object_is_sent_once_and_told(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        seen, ids = [], []
        while (store := peer.next_store()) is not None:
            elements, data = store
            seen.append(elements[0x1000].rstrip(b"\0").decode())
            ids.append(elements[0x0110])
            assert elements[0x0002].rstrip(b"\0").decode() == CT
            assert data.endswith(bytes(study[0].PixelData))
            peer.acknowledge(elements)
        assert seen == [one.SOPInstanceUID for one in study]
        assert len(set(ids)) == COUNT
        assert peer.final() == (0x0000, {"completed": COUNT, "failed": 0, "warning": 0})
        assert peer.pending[0][0x1020] == us(COUNT)
        peer.ask(study)  # the association goes on
        assert peer.next_store() is not None


def test_refusals_and_warnings_of_the_receiver_are_counted_apart(
    archive: Source, study: list[Dataset]
) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        for status in (0xA700, 0xB000, 0x0000):
            store = peer.next_store()
            assert store is not None
            peer.acknowledge(store[0], status)
        assert peer.next_store() is None
        assert peer.final() == (0xB000, {"completed": 1, "failed": 1, "warning": 1})
        assert peer.failed == [study[0].SOPInstanceUID]


def test_without_a_role_each_object_is_a_failed_sub_operation(
    archive: Source, study: list[Dataset]
) -> None:
    with Getter(archive, user=b"") as peer:
        peer.ask(study)
        assert peer.next_store() is None
        assert peer.final() == (0xA702, {"completed": 0, "failed": COUNT, "warning": 0})
        assert peer.failed == [one.SOPInstanceUID for one in study]
        assert peer.release() == 6


def test_who_only_stores_on_a_context_is_not_sent_to_on_it(
    archive: Source, study: list[Dataset]
) -> None:
    with Getter(archive, user=b"", calling=b"BOTH") as peer:
        peer.ask(study)
        assert peer.next_store() is None
        assert peer.final()[0] == 0xA702


def test_a_class_without_a_context_fails_and_the_others_come(archive: Source) -> None:
    uid = new_uid()
    mixed = [
        make_dataset(StudyInstanceUID=uid, PatientID="MIXED", SOPClassUID=sop_class)
        for sop_class in (MR, CT)
    ]
    archive.keep_all(mixed)
    with Getter(archive) as peer:
        peer.ask(mixed)
        store = peer.next_store()
        assert store is not None
        peer.acknowledge(store[0])
        assert peer.next_store() is None
        assert peer.final() == (0xB000, {"completed": 1, "failed": 1, "warning": 0})
        assert peer.failed == [mixed[0].SOPInstanceUID]


def test_a_cancel_ends_it_after_the_object_at_hand(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        store = peer.next_store()
        assert store is not None
        peer.send(cancel(8) + cancel(7))
        peer.acknowledge(store[0])
        assert peer.next_store() is None
        assert peer.final() == (0xFE00, {"remaining": 2, "completed": 1, "failed": 0, "warning": 0})
        assert (peer.has_list, peer.failed) == (True, [])
        assert peer.release() == 6
    details = [
        record.detail
        for record in archive.audit_of("retrieve.get", "110104", [study[0].StudyInstanceUID])
    ]
    assert details[-1] == "C-GET: 1 of 3 objects sent, stopped by the caller"


def test_a_cancel_of_another_message_changes_nothing(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        while (store := peer.next_store()) is not None:
            peer.send(cancel(8))
            peer.acknowledge(store[0])
        assert peer.final() == (0x0000, {"completed": COUNT, "failed": 0, "warning": 0})


def test_a_refusal_may_come_before_the_object_is_whole(archive: Source) -> None:
    """And half of a cancel behind it, whose rest is not taken for the next request."""
    large = make_dataset(PixelData=bytes(4 << 20), Rows=1448, Columns=1448)
    archive.keep_all([large])
    half = cancel(9)[12:22], cancel(9)[22:]
    with Getter(archive) as peer:
        peer.ask([large])
        context, data = peer._part()
        while read_elements(data)[0x0100] != us(0x0001):
            context, data = peer._part()
        refusal = p_data(3, 3, response(read_elements(data), 0xA700))
        peer.send(refusal + p_data(1, 1, half[0]))
        peer._part()
        peer.send(p_data(1, 3, half[1]))
        assert context == 3
        assert peer.next_store() is None
        assert peer.final()[0] == 0xA702
        assert peer.release() == 6


WRONG = {
    "the answer to another message": lambda s: p_data(3, 3, response(s, 0, message=us(999))),
    "the answer for another SOP instance": lambda s: p_data(3, 3, response(s, 0, instance=b"1.9")),
    "a pending status where there is one answer": lambda s: p_data(3, 3, response(s, 0xFF00)),
    "another message (0x0030) in the middle of its C-GET": lambda s: p_data(
        1, 3, command(0x0030, VERIFICATION, dataset=False)
    ),
    "another message (0x0010) in the middle of its C-GET": lambda s: p_data(
        1, 3, command(0x0010, STUDY_ROOT_GET, dataset=True)
    ),
    "another message (0x8020) in the middle of its C-GET": lambda s: p_data(
        3, 3, response(s, 0, field=0x8020)
    ),
    "an RELEASE_RQ in the middle of its C-GET": lambda s: pdu(5, bytes(4)),
    "data for a presentation context that was not accepted": lambda s: p_data(5, 3, response(s, 0)),
    "a PDU of the unknown type 0x09": lambda s: pdu(9, b""),
}


@pytest.mark.parametrize(("reason", "send"), WRONG.items(), ids=WRONG)
def test_what_may_not_come_meanwhile_is_a_legal_abort(
    archive: Source, study: list[Dataset], reason: str, send: object
) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        store = peer.next_store()
        assert store is not None
        peer.send(send(store[0]))  # type: ignore[operator]
        kind, body = peer.read()
        assert (kind, body[2]) == (7, 2)
    _aborted(archive, f"sent {reason}")


def _aborted(archive: Source, *reasons: str) -> None:
    """Soon an association has ended for one of these reasons."""
    eventually(
        lambda: any(
            row.state is AssociationState.ABORTED and row.reason in reasons
            for row in archive.records()
        )
    )


def test_an_answer_to_nothing_is_a_legal_abort(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        store = peer.next_store()
        assert store is not None
        peer.send(2 * p_data(3, 3, response(store[0], 0x0000)))
        kind, _ = peer.read()
        while kind == 4:
            kind, _ = peer.read()
        assert kind == 7
    _aborted(
        archive, "sent an answer to nothing that was asked", "sent the answer to another message"
    )


def test_a_receiver_that_never_answers_is_left(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        assert peer.next_store() is not None
        assert peer.read()[0] == 7
    _aborted(archive, "did not answer a C-STORE within 2 s")


@pytest.mark.parametrize("word", [b"", pdu(7, bytes(4))], ids=["close", "abort"])
def test_a_receiver_that_goes_ends_it(archive: Source, study: list[Dataset], word: bytes) -> None:
    uids = [str(study[0].StudyInstanceUID)]
    before = len(archive.audit_of("retrieve.get", "110104", uids))
    with Getter(archive) as peer:
        peer.ask(study)
        assert peer.next_store() is not None
        peer.send(word)
    ended = eventually(lambda: archive.audit_of("retrieve.get", "110104", uids)[before:])
    assert ended[0].detail == "C-GET: 0 of 3 objects sent, the connection was lost"
    assert ended[0].outcome.value == "failure"


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (1, 1), (2, 2), (7, 0)])
def test_the_priority_of_a_get_is_that_of_its_objects(
    archive: Source, study: list[Dataset], asked: int, given: int
) -> None:
    """PS3.4 C.4.3.1.2; what the standard does not know is medium."""
    with Getter(archive) as peer:
        peer.priority = asked
        peer.ask(study)
        seen = []
        while (store := peer.next_store()) is not None:
            seen.append(store[0][0x0700])
            peer.acknowledge(store[0])
    assert seen == [us(given)] * COUNT


@pytest.mark.parametrize(
    ("negotiates", "status"), [(b"", 0xA900), (extended(STUDY_ROOT_GET, 1), 0x0000)]
)
def test_keys_above_may_be_missing_only_if_that_was_negotiated(
    archive: Source, study: list[Dataset], negotiates: bytes, status: int
) -> None:
    with Getter(archive, user=roles(CT) + negotiates) as peer:
        peer.ask_for("IMAGE", SOPInstanceUID=study[1].SOPInstanceUID)
        seen = []
        while (store := peer.next_store()) is not None:
            seen.append(store[0][0x1000].rstrip(b"\0").decode())
            peer.acknowledge(store[0])
        assert seen == ([] if status else [study[1].SOPInstanceUID])
        assert peer.final()[0] == status


def test_a_removed_receiver_gets_nothing_more(archive: Source, study: list[Dataset]) -> None:
    key = archive.know("LEAVING", NodeService.GET)
    with Getter(archive, calling=b"LEAVING") as peer:
        peer.ask(study)
        store = peer.next_store()
        assert store is not None
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        peer.acknowledge(store[0])
        kind, _ = peer.read()
        assert kind == 7
