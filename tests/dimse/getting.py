"""A C-GET requester, PDU by PDU, that answers as told."""

from __future__ import annotations

from pydicom.dataset import Dataset

from tests.dimse.raw_peer import (
    CT,
    EXPLICIT,
    IMPLICIT,
    RawPeer,
    element,
    item,
    p_data,
    read_elements,
    role_item,
    us,
)
from tests.dimse.retrieving import Source
from tests.unit.find_rows import answer, identifier
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET


def roles(*classes: str, scu: int = 0, scp: int = 1) -> bytes:
    return b"".join(role_item(uid, scu, scp) for uid in classes)


GET_CONTEXT = (1, STUDY_ROOT_GET, [IMPLICIT])
CT_CONTEXT = (3, CT, [EXPLICIT])


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
        self.has_list = False  # of what failed, if only an empty one
        self.priority = 0

    def ask(self, study: list[Dataset]) -> None:
        self.ask_for("STUDY", StudyInstanceUID=study[0].StudyInstanceUID)

    def ask_for(self, level: str, **keys: object) -> None:
        body = element(0x0002, STUDY_ROOT_GET.encode()) + element(0x0100, us(0x0010))
        body += element(0x0110, us(7)) + element(0x0700, us(self.priority)) + element(0x0800, us(1))
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
                self.has_list = True
                self.failed = [uids] if isinstance(uids, str) and uids else list(uids)
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


def extended(uid: str, *information: int) -> bytes:
    return item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + bytes(information))
