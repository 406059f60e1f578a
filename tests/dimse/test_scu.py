"""Our requestor against pynetdicom's acceptor: real sockets, both sides in this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tuipacs.errors import UnavailableError, UsageError
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_store import context_of, store_datasets, store_files
from tuipacs.scu.requestor import Context, Peer, open_association


class Acceptor:
    """Takes CT in explicit little endian; answers with ``status``."""

    def __init__(self) -> None:
        self.status = 0x0000
        self.received: list[bytes] = []
        self.calling: list[str] = []
        entity = AE(ae_title="STORE")
        entity.require_called_aet = True
        entity.add_supported_context("1.2.840.10008.1.1")
        entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        self._server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_C_ECHO, lambda _: 0)],
        )
        port = self._server.socket.getsockname()[1]
        self.peer = Peer("127.0.0.1", port, "STORE", "TUIPACS")

    def _store(self, event: evt.Event) -> int | Dataset:
        self.calling.append(event.assoc.requestor.ae_title)
        self.received.append(event.request.DataSet.getvalue())
        if self.status == -1:
            event.assoc.dul.socket.close()
        answer = Dataset()
        answer.Status = self.status if self.status >= 0 else 0
        if self.status > 0:
            answer.ErrorComment = "no room"
        return answer

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    server = Acceptor()
    yield server
    server.close()


def _ready(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def test_an_echo_is_answered_and_names_us(acceptor: Acceptor) -> None:
    assert echo(acceptor.peer).status == 0


def test_files_arrive_byte_for_byte(acceptor: Acceptor, tmp_path: Path) -> None:
    datasets = [make_dataset(InstanceNumber=i) for i in range(3)]
    paths = []
    for i, dataset in enumerate(datasets):
        paths.append(tmp_path / f"{i}")
        paths[-1].write_bytes(part10_bytes(dataset))
    outcomes = list(store_files(acceptor.peer, paths))
    assert [o.stored for o in outcomes] == [True] * 3
    assert [o.sop_instance_uid for o in outcomes] == [d.SOPInstanceUID for d in datasets]
    assert acceptor.received == [dataset_bytes(d) for d in datasets]
    assert acceptor.calling == ["TUIPACS"] * 3


def test_a_failure_status_is_told_as_the_peer_gave_it(acceptor: Acceptor) -> None:
    acceptor.status = 0xA700
    dataset = _ready(make_dataset())
    (outcome,) = store_datasets(acceptor.peer, [dataset], [context_of(dataset)])
    assert (outcome.status, outcome.comment, outcome.stored) == (0xA700, "no room", False)


def test_what_the_peer_does_not_accept_is_not_sent(acceptor: Acceptor) -> None:
    plain, packed = _ready(make_dataset()), _ready(make_dataset(), JPEG2000Lossless)
    contexts = [context_of(plain), context_of(packed)]
    refused, stored = store_datasets(acceptor.peer, [packed, plain], contexts)
    assert (refused.status, refused.stored) == (None, False)
    assert stored.stored
    assert len(acceptor.received) == 1


def test_a_connection_lost_in_the_middle_leaves_no_object_called_stored(acceptor: Acceptor) -> None:
    acceptor.status = -1
    datasets = [_ready(make_dataset()) for _ in range(2)]
    outcomes = list(store_datasets(acceptor.peer, datasets, [context_of(datasets[0])]))
    assert [o.stored for o in outcomes] == [False, False]
    assert [o.status for o in outcomes] == [None, None]


def test_a_rejection_says_why(acceptor: Acceptor) -> None:
    with pytest.raises(UnavailableError, match="called AE title not recognised"):
        echo(replace(acceptor.peer, called_ae_title="OTHER"))


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UnavailableError, match="refused the connection"):
        echo(Peer("127.0.0.1", port, "X", "Y"))


def test_more_contexts_than_an_association_can_carry_are_refused() -> None:
    contexts = [Context(f"1.2.{i}", ExplicitVRLittleEndian) for i in range(129)]
    with (
        pytest.raises(UsageError),
        open_association(Peer("127.0.0.1", 1, "X", "Y"), contexts),
    ):
        pass
