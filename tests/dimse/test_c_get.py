"""C-GET: objects come back on the association of the request, where the roles are agreed on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.builders import dataset_bytes, make_dataset, make_study
from tests.bundled import bundled_files
from tests.dimse.getting import CT_CONTEXT, GET_CONTEXT, roles
from tests.dimse.raw_peer import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG2000,
    RawPeer,
)
from tests.dimse.retrieving import Source, received
from tests.dimse.tls_site import Site
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET
from tuipacs.dimse.tls import ServerTls
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import NodeService
from tuipacs.scu.c_get import get
from tuipacs.scu.requestor import Context, Peer, PeerTls

MR = "1.2.840.10008.5.1.4.1.1.4"
RLE = "1.2.840.10008.1.2.5"
VIDEO, MPEG4 = "1.2.840.10008.5.1.4.1.1.77.1.1.1", "1.2.840.10008.1.2.4.102"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("get"), unknown=UnknownCallers.ECHO, dimse_timeout=2.0)
    archive.know("ASKING", NodeService.ECHO, NodeService.GET)
    archive.know("BOTH", NodeService.GET, NodeService.STORE)
    archive.know("STORING", NodeService.STORE)
    yield archive
    archive.close()


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


def test_a_context_with_a_choice_of_what_is_not_here_gets_what_all_can_be_made_into(
    archive: Source,
) -> None:
    contexts = [
        GET_CONTEXT,
        (3, CT, [JPEG2000, IMPLICIT, EXPLICIT]),
        (5, CT, [JPEG2000]),
        (7, MR, [JPEG2000, IMPLICIT]),
        (9, VIDEO, [JPEG2000, MPEG4]),
    ]
    with RawPeer(archive.port) as peer:
        reply = peer.associate(contexts, calling=b"ASKING", user=roles(CT, MR, VIDEO))
        assert reply.contexts[9] == (0, JPEG2000)
        assert reply.contexts[3] == (0, EXPLICIT)
        assert reply.contexts[5] == (0, JPEG2000)
        assert reply.contexts[7] == (0, IMPLICIT)


SECONDARY = "1.2.840.10008.5.1.4.1.1.7.4"  # what only these tests store: multi-frame true colour


def _agreed(archive: Source, sop_class: str, proposed: list[str]) -> str:
    with RawPeer(archive.port) as peer:
        contexts = [GET_CONTEXT, (3, sop_class, proposed)]
        reply = peer.associate(contexts, calling=b"ASKING", user=roles(sop_class))
        assert reply.contexts[3][0] == 0
        return str(reply.contexts[3][1])


def _keep(archive: Source, sop_class: str, syntax: str) -> str:
    dataset = make_dataset(SOPClassUID=sop_class)
    uid = str(dataset.SOPInstanceUID)
    archive.keep(dataset_bytes(dataset, EXPLICIT), syntax, sop_class, uid)
    return uid


def test_a_context_with_a_choice_gets_what_is_held(archive: Source) -> None:
    """Nothing is transcoded, and no video fails, for a peer that proposed what is stored."""
    _keep(archive, SECONDARY, JPEG2000)
    assert _agreed(archive, SECONDARY, [EXPLICIT, IMPLICIT, JPEG2000]) == JPEG2000
    assert _agreed(archive, SECONDARY, [MPEG4, IMPLICIT]) == IMPLICIT
    _keep(archive, SECONDARY, RLE)
    assert _agreed(archive, SECONDARY, [JPEG2000, RLE, IMPLICIT, EXPLICIT]) == EXPLICIT
    assert _agreed(archive, SECONDARY, [RLE, JPEG2000]) == RLE
    _keep(archive, SECONDARY, MPEG4)
    assert _agreed(archive, SECONDARY, [EXPLICIT, MPEG4]) == MPEG4
    assert _agreed(archive, SECONDARY, [EXPLICIT, JPEG2000]) == EXPLICIT


def test_a_role_is_agreed_on_while_the_index_is_being_written(archive: Source) -> None:
    with archive.index.write() as tx:
        tx.execute("UPDATE total SET bytes = bytes")
        assert _agreed(archive, CT, [IMPLICIT, EXPLICIT]) == EXPLICIT


@pytest.mark.dcmtk
@pytest.mark.parametrize(("option", "as_it_is"), [("+xv", True), ("+xs", False), ("+xi", False)])
def test_getscu_gets_a_compressed_picture_as_it_is_if_it_takes_it(
    archive: Source, tmp_path: Path, option: str, as_it_is: bool
) -> None:
    """getscu proposes all that it takes in one context for each SOP class."""
    (path,) = bundled_files("MR_small_jp2klossless.dcm")
    uid, data = archive.keep_file(path)
    study = ("0008,0052=STUDY", f"0020,000d={dcmread(path).StudyInstanceUID}")
    said = getscu(archive, tmp_path / "got", *study, options=f"-S {option}")
    assert re.search(r"Number of Completed Suboperations +: 1\n", said), said
    assert (received(tmp_path / "got")[uid] == data) == as_it_is


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
