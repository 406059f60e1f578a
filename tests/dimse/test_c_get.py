"""C-GET: objects come back on the association of the request, where the roles are agreed on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.archive import ADMIN, eventually
from tests.dimse.raw_peer import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG2000,
    RawPeer,
    command,
    element,
    item,
    p_data,
    pdu,
    read_elements,
    role_item,
    us,
)
from tests.dimse.retrieving import Source, received
from tests.dimse.tls_site import Site
from tests.unit.find_rows import answer, identifier
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET, VERIFICATION
from tuipacs.dimse.tls import ServerTls
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid
from tuipacs.schema.node_messages import NodeRemoveRequest
from tuipacs.scu.c_get import get
from tuipacs.scu.requestor import Context, Peer, PeerTls

MR = "1.2.840.10008.5.1.4.1.1.4"
VIDEO, MPEG4 = "1.2.840.10008.5.1.4.1.1.77.1.1.1", "1.2.840.10008.1.2.4.102"
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


# -- DCMTK's getscu


def getscu(archive: Source, folder: Path, *keys: str, options: str = "-S") -> str:
    """Get what these keys name into a new folder; all that getscu says."""
    folder.mkdir()
    words = [part for key in keys for part in ("-k", key)]
    asking = ("-aet", "ASKING", "-aec", "TUIPACS", "127.0.0.1", str(archive.port))
    done = subprocess.run(
        ["getscu", "-d", "+B", "-od", str(folder), *options.split(), *words, *asking],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr + done.stdout


@pytest.mark.dcmtk
def test_getscu_gets_a_study_byte_for_byte(archive: Source, tmp_path: Path) -> None:
    wanted = make_study(2, 3)
    kept = archive.keep_all(wanted)
    archive.keep_all(make_study(1, 1))
    study = ("0008,0052=STUDY", f"0020,000d={wanted[0].StudyInstanceUID}")
    said = getscu(archive, tmp_path / "study", *study)
    assert received(tmp_path / "study") == kept
    assert re.search(r"Number of Completed Suboperations +: 6\n", said), said
    image = wanted[4]
    below = (
        "0008,0052=IMAGE",
        f"0020,000d={image.StudyInstanceUID}",
        f"0020,000e={image.SeriesInstanceUID}",
        f"0008,0018={image.SOPInstanceUID}",
    )
    getscu(archive, tmp_path / "image", *below)
    assert set(received(tmp_path / "image")) == {str(image.SOPInstanceUID)}


# -- roles


def roles(*classes: str, scu: int = 0, scp: int = 1) -> bytes:
    return b"".join(role_item(uid, scu, scp) for uid in classes)


GET_CONTEXT = (1, STUDY_ROOT_GET, [IMPLICIT])
CT_CONTEXT = (3, CT, [EXPLICIT])


def test_an_scp_role_is_given_to_who_may_get(archive: Source) -> None:
    with RawPeer(archive.port) as peer:
        reply = peer.associate([GET_CONTEXT, CT_CONTEXT], calling=b"ASKING", user=roles(CT))
        assert {n: result for n, (result, _) in reply.contexts.items()} == {1: 0, 3: 0}
        assert reply.roles == {CT: (0, 1)}


@pytest.mark.parametrize(
    ("calling", "wants", "results", "agreed"),
    [
        (b"ASKING", (1, 1), {1: 0, 3: 0}, {CT: (0, 1)}),
        (b"ASKING", (1, 0), {1: 0, 3: 1}, {}),
        (b"ASKING", (0, 0), {1: 0, 3: 1}, {}),
        (b"BOTH", (1, 1), {1: 0, 3: 0}, {CT: (1, 1)}),
        (b"BOTH", (0, 1), {1: 0, 3: 0}, {CT: (0, 1)}),
        (b"BOTH", (1, 0), {1: 0, 3: 0}, {CT: (1, 0)}),
        (b"STORING", (1, 1), {1: 1, 3: 0}, {CT: (1, 0)}),
        (b"STORING", (0, 1), {1: 1, 3: 1}, {}),
        (b"STRANGER", (0, 1), None, {}),
    ],
)
def test_each_role_needs_its_own_right(
    archive: Source,
    calling: bytes,
    wants: tuple[int, int],
    results: dict[int, int] | None,
    agreed: dict[str, tuple[int, int]],
) -> None:
    user = roles(CT, scu=wants[0], scp=wants[1])
    with RawPeer(archive.port) as peer:
        reply = peer.associate([GET_CONTEXT, CT_CONTEXT], calling=calling, user=user)
        if results is None:
            assert reply.kind == "reject"
        else:
            assert {n: result for n, (result, _) in reply.contexts.items()} == results
        assert reply.roles == agreed


def test_who_is_no_scu_of_a_class_does_not_store(archive: Source) -> None:
    """The right alone is not enough: the role is what was agreed on."""
    with RawPeer(archive.port) as peer:
        peer.associate([GET_CONTEXT, CT_CONTEXT], calling=b"BOTH", user=roles(CT))
        assert peer.store(b"\x08\0\x18\0UI\2\x001\0") == 0x0122
        assert peer.release() == 6


def test_a_context_with_a_choice_gets_what_everything_can_be_given_in(archive: Source) -> None:
    contexts = [
        GET_CONTEXT,
        (3, CT, [JPEG2000, IMPLICIT, EXPLICIT]),
        (5, CT, [JPEG2000]),
        (7, MR, [JPEG2000, IMPLICIT]),
        (9, VIDEO, [EXPLICIT, JPEG2000, MPEG4]),
    ]
    with RawPeer(archive.port) as peer:
        reply = peer.associate(contexts, calling=b"ASKING", user=roles(CT, MR, VIDEO))
        assert reply.contexts[9] == (0, MPEG4)
        assert reply.contexts[3] == (0, EXPLICIT)
        assert reply.contexts[5] == (0, JPEG2000)
        assert reply.contexts[7] == (0, IMPLICIT)


# -- sub-operations, PDU by PDU


class Getter(RawPeer):
    """A requester that answers as told."""

    def __init__(
        self, archive: Source, *, user: bytes = roles(CT), calling: bytes = b"ASKING"
    ) -> None:
        super().__init__(archive.port)
        self.associate([GET_CONTEXT, CT_CONTEXT], calling=calling, user=user)
        self.finals: list[dict[int, bytes]] = []
        self.pending: list[dict[int, bytes]] = []
        self.failed: list[str] = []

    def ask(self, study: list[Dataset]) -> None:
        self.ask_for("STUDY", StudyInstanceUID=study[0].StudyInstanceUID)

    def ask_for(self, level: str, **keys: object) -> None:
        body = element(0x0002, STUDY_ROOT_GET.encode()) + element(0x0100, us(0x0010))
        body += element(0x0110, us(7)) + element(0x0700, us(0)) + element(0x0800, us(1))
        whole = element(0, len(body).to_bytes(4, "little")) + body
        self.request(1, whole, identifier(level, IMPLICIT, **keys))

    def whole(self) -> tuple[int, dict[int, bytes], bytes]:
        """The next message: context, command, dataset."""
        context, data = self._part()
        elements = read_elements(data)
        if elements[0x0800] == us(0x0101):
            return context, elements, b""
        return context, elements, self._part()[1]

    def _part(self) -> tuple[int, bytes]:
        data = b""
        while True:
            kind, body = self.read()
            assert kind == 4, (kind, body)
            data += body[6:]
            assert int.from_bytes(body[:4], "big") + 4 == len(body)
            if body[5] & 2:
                return body[4], data

    def next_store(self) -> tuple[dict[int, bytes], bytes] | None:
        """The next C-STORE, its command and dataset; None when the C-GET has its final answer."""
        while True:
            context, elements, data = self.whole()
            if elements[0x0100] == us(0x0001):
                assert context == 3
                return elements, data
            assert elements[0x0100] == us(0x8010)
            assert elements[0x0120] == us(7)
            if elements[0x0900] == us(0xFF00):
                assert elements[0x0800] == us(0x0101)
                self.pending.append(elements)
                continue
            self.finals.append(elements)
            if data:
                told = answer(data, IMPLICIT)
                uids = told.FailedSOPInstanceUIDList
                self.failed = [uids] if isinstance(uids, str) else list(uids)
            return None

    def acknowledge(self, store: dict[int, bytes], status: int = 0x0000, **other: bytes) -> None:
        self.send(p_data(3, 3, response(store, status, **other)))

    def final(self) -> tuple[int, dict[str, int]]:
        (one,) = self.finals
        names = {0x1020: "remaining", 0x1021: "completed", 0x1022: "failed", 0x1023: "warning"}
        counts = {
            name: int.from_bytes(one[number], "little")
            for number, name in names.items()
            if number in one
        }
        return int.from_bytes(one[0x0900], "little"), counts


def response(
    store: dict[int, bytes],
    status: int,
    *,
    message: bytes | None = None,
    instance: bytes | None = None,
    field: int = 0x8001,
) -> bytes:
    body = element(0x0002, CT.encode()) + element(0x0100, us(field))
    body += element(0x0120, store[0x0110] if message is None else message)
    body += element(0x0800, us(0x0101)) + element(0x0900, us(status))
    body += element(0x1000, store[0x1000] if instance is None else instance)
    return element(0, len(body).to_bytes(4, "little")) + body


def cancel(message_id: int = 7) -> bytes:
    body = element(0x0100, us(0x0FFF)) + element(0x0120, us(message_id))
    body += element(0x0800, us(0x0101))
    return p_data(1, 3, element(0, len(body).to_bytes(4, "little")) + body)


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
        assert peer.failed == []
        assert peer.release() == 6
    details = [
        record.detail
        for record in archive.audit_of("retrieve.get", "110104", [study[0].StudyInstanceUID])
    ]
    assert details[-1] == "C-GET: 1 of 3 objects sent, stopped by the caller"


def test_a_cancel_in_pieces_does_not_tear_what_follows(
    archive: Source, study: list[Dataset]
) -> None:
    whole = cancel(9)[12:]
    with Getter(archive) as peer:
        peer.ask(study)
        for number in range(COUNT):
            store = peer.next_store()
            assert store is not None
            peer.acknowledge(store[0])
            if number == COUNT - 1:
                peer.send(p_data(1, 1, whole[:10]))
        peer.send(p_data(1, 3, whole[10:]))
        assert peer.next_store() is None
        assert peer.final()[0] == 0x0000
        assert peer.release() == 6


def test_a_refusal_may_come_before_the_object_is_whole(archive: Source) -> None:
    large = make_dataset(PixelData=bytes(4 << 20), Rows=1448, Columns=1448)
    archive.keep_all([large])
    with Getter(archive) as peer:
        peer.ask([large])
        context, data = peer._part()
        while read_elements(data)[0x0100] != us(0x0001):
            context, data = peer._part()
        peer.acknowledge(read_elements(data), 0xA700)
        peer._part()
        assert context == 3
        assert peer.next_store() is None
        assert peer.final()[0] == 0xA702


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


def _aborted(archive: Source, reason: str) -> None:
    """Soon an association has ended for this reason."""
    eventually(
        lambda: any(
            (row.state, row.reason) == (AssociationState.ABORTED, reason)
            for row in archive.records()
        )
    )


def test_an_answer_to_nothing_is_a_legal_abort(archive: Source, study: list[Dataset]) -> None:
    with Getter(archive) as peer:
        peer.ask(study)
        store = peer.next_store()
        assert store is not None
        peer.acknowledge(store[0])
        peer.acknowledge(store[0])
        kind, _ = peer.read()
        while kind == 4:
            kind, _ = peer.read()
        assert kind == 7


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


# -- relational retrieve


def extended(uid: str, *information: int) -> bytes:
    return item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + bytes(information))


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


def test_objects_cross_tls_byte_for_byte(site: Site, tmp_path: Path) -> None:
    """Large ones, which the kernel takes in pieces, and small ones."""
    taker = Taker()
    wanted = [
        make_dataset(StudyInstanceUID="1.2.3", PatientID="TLS", InstanceNumber=number, **pixels)
        for number, pixels in enumerate(({}, {"PixelData": bytes(3 << 20)}, {}), start=1)
    ]
    archive = Source(tmp_path, tls_port=0, doors=lambda _: {"tls": ServerTls(site.files())})
    with closing(archive):
        kept = archive.keep_all(wanted)
        archive.know("ASKING", NodeService.GET)
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", "1.2.3"
        peer = Peer(
            "127.0.0.1",
            archive.listener.tls_port,
            "TUIPACS",
            "ASKING",
            tls=PeerTls(site.context(site.ct1)),
        )
        with get(peer, STUDY_ROOT_GET, asked, [Context(CT, EXPLICIT)], taker) as getting:
            list(getting)
    assert getting.final is not None
    assert getting.final.status == 0x0000
    assert taker.kept == kept


class Taker:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Taking:
        return Taking(self, request.command.sop_instance_uid)


class Taking:
    def __init__(self, taker: Taker, uid: str) -> None:
        self._taker, self._uid, self._data = taker, uid, bytearray()

    def write(self, fragment: memoryview) -> None:
        self._data += fragment

    def finish(self, _: object) -> Answer:
        self._taker.kept[self._uid] = bytes(self._data)
        return Answer(0x0000, "Success")

    def discard(self) -> None:
        """Nothing is held."""
