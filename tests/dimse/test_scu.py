"""Our requestor against pynetdicom's acceptor: real sockets, both sides in this process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tests.bundled import bundled_files
from tests.ports import unused_port
from tests.waiting import eventually
from tuipacs.dicom.part10 import read_part10
from tuipacs.errors import InvalidObjectError, UnavailableError, UsageError
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_store import store_datasets, store_files
from tuipacs.scu.requestor import Context, Peer, open_association
from tuipacs.scu.sources import context_of


class Acceptor:
    """Takes CT in explicit little endian; answers with ``status``."""

    def __init__(self) -> None:
        self.reset()
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

    def reset(self) -> None:
        self.status = 0x0000
        self.received: list[bytes] = []
        self.named: list[str] = []
        self.calling: list[str] = []

    def _store(self, event: evt.Event) -> int | Dataset:
        self.calling.append(event.assoc.requestor.ae_title)
        self.received.append(event.request.DataSet.getvalue())
        self.named.append(str(event.request.AffectedSOPInstanceUID))
        if self.status == -1:
            event.assoc.dul.socket.close()
        answer = Dataset()
        answer.Status = self.status if self.status >= 0 else 0
        if self.status > 0:
            answer.ErrorComment = "no room"
        return answer

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture(scope="module")
def running() -> Iterator[Acceptor]:
    server = Acceptor()
    yield server
    server.close()


@pytest.fixture
def acceptor(running: Acceptor) -> Acceptor:
    running.reset()
    return running


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


def test_the_dataset_says_which_object_a_file_is(acceptor: Acceptor, tmp_path: Path) -> None:
    """File meta information of another object, and a preamble that could be a program."""
    dataset = make_dataset()
    data = bytearray(part10_bytes(dataset))
    own = str(dataset.SOPInstanceUID).encode()
    data[:4] = b"\x7fELF"
    at = data.index(own)
    data[at : at + len(own)] = bytes(own).replace(b"2.25", b"9.99")
    (tmp_path / "f").write_bytes(data)
    (outcome,) = store_files(acceptor.peer, [tmp_path / "f"])
    assert outcome.sop_instance_uid == dataset.SOPInstanceUID
    assert acceptor.named == [dataset.SOPInstanceUID]
    assert acceptor.received == [dataset_bytes(dataset)]


def test_a_file_goes_out_in_the_syntax_it_is_really_in(acceptor: Acceptor, tmp_path: Path) -> None:
    """The meta information says implicit, the dataset is explicit: sent as what it is."""
    dataset = make_dataset()
    data = bytearray(part10_bytes(dataset))
    explicit = b"1.2.840.10008.1.2.1\0"
    at = data.index(explicit)
    data[at : at + 20] = b"1.2.840.10008.1.2\0\0\0"
    (tmp_path / "f").write_bytes(data)
    (outcome,) = store_files(acceptor.peer, [tmp_path / "f"])
    assert outcome.stored
    assert acceptor.received == [dataset_bytes(dataset)]


def test_what_a_file_is_may_stand_far_behind_its_start(acceptor: Acceptor, tmp_path: Path) -> None:
    """A private element of 3 MB of group 0007 before the SOP Class UID."""
    dataset = make_dataset()
    dataset.add_new(0x00070010, "LO", "TUIPACS TEST")
    dataset.add_new(0x00071001, "OB", bytes(3_000_000))
    (tmp_path / "f").write_bytes(part10_bytes(dataset))
    (outcome,) = store_files(acceptor.peer, [tmp_path / "f"])
    assert outcome.stored
    assert acceptor.named == [dataset.SOPInstanceUID]


def test_a_directory_of_a_medium_is_refused_before_anything_is_sent(acceptor: Acceptor) -> None:
    (directory,) = (p for p in bundled_files("DICOMDIR") if p.parent.name == "dicomdirtests")
    with pytest.raises(InvalidObjectError, match="DICOMDIR"):
        list(store_files(acceptor.peer, [directory]))
    assert acceptor.calling == []


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


# -- DCMTK


@contextlib.contextmanager
def _storescp(folder: Path, *options: str) -> Iterator[Peer]:
    port = unused_port()
    process = subprocess.Popen(
        ["storescp", "+B", "-od", str(folder), *options, str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    peer = Peer("127.0.0.1", port, "STORESCP", "TUIPACS")
    try:
        eventually(lambda: _answers(peer))
        yield peer
    finally:
        process.terminate()
        process.wait(10)


def _answers(peer: Peer) -> bool:
    try:
        return echo(peer).status == 0
    except UnavailableError:
        return False


@pytest.mark.dcmtk
@pytest.mark.parametrize("options", [("+xa",), ("+xa", "-pdu", "4096"), ("+xa", "-pdu", "131072")])
def test_dcmtk_receives_real_files_byte_for_byte(tmp_path: Path, options: tuple[str, ...]) -> None:
    """storescp with +B writes the bytes of the dataset as they came, whatever their syntax."""
    names = ("CT_small.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG2000.dcm", "image_dfl.dcm")
    paths = [path for path in bundled_files("*.dcm") if path.name in names]
    assert len(paths) == len(names)
    with _storescp(tmp_path, *options) as peer:
        outcomes = list(store_files(peer, paths))
    assert [outcome.comment for outcome in outcomes] == [""] * len(names)
    sent = {_dataset_of(path) for path in paths}
    assert {_dataset_of(path) for path in tmp_path.iterdir()} == sent


def _dataset_of(path: Path) -> bytes:
    """With the NUL that PS3.5 A.5 puts after a deflated stream of odd length."""
    data = path.read_bytes()[read_part10(path).dataset_offset :]
    return data + bytes(len(data) % 2)


@pytest.mark.dcmtk
def test_dcmtk_refuses_what_it_does_not_take(tmp_path: Path) -> None:
    (path,) = (path for path in bundled_files("JPEG2000.dcm"))
    with _storescp(tmp_path) as peer, pytest.raises(UnavailableError) as caught:
        list(store_files(peer, [path]))
    assert "accepted none of the presentation contexts" in caught.value.message
