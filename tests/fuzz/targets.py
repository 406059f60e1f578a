"""The readers of hostile bytes as functions of bytes, for Hypothesis, atheris and the kept finds.

A target returns quietly for input that its reader takes or refuses as declared, and raises for all
else: that is a find. Seeds are bytes made here, and pydicom's small public test files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from tests.bundled import bundled_files
from tests.dimse import raw_peer
from tests.e2e import hostile
from tests.fuzz.association import association, conversations
from tuipacs.dicom import attributes as reader
from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tuipacs.dicom.find_charset import encodings_for
from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.dicom.find_key_values import MAX_KEYS
from tuipacs.dicom.find_layout import Layout
from tuipacs.dicom.find_object import read_object, supported_vr
from tuipacs.dicom.part10 import split_part10
from tuipacs.dimse.acceptor.pdus import encode_associate_accept, parse_associate_request
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.messages import parse_command
from tuipacs.dimse.pdu import HEADER_SIZE, ContextAnswer, ProposedContext, data_values
from tuipacs.dimse.requestor.negotiation import (
    Proposal,
    encode_associate_request,
    parse_associate_accept,
)
from tuipacs.domain.attributes import IndexedAttributes
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    PATIENT_ROOT,
    PATIENT_STUDY_ONLY,
    RETRIEVE_AE_TAG,
    STUDY_ROOT,
)
from tuipacs.domain.find_object import ObjectKey, Value
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH
from tuipacs.errors import InvalidObjectError, InvalidQueryError, QueryModelError

Target = Callable[[bytes], None]

CORPUS = Path(__file__).with_name("corpus")
DEFLATED = hostile.DEFLATED
JPEG = "1.2.840.10008.1.2.4.50"
SYNTAXES = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED, JPEG)
PROPOSAL = Proposal(
    called_ae_title="ARCHIVE",
    calling_ae_title="TUIPACS",
    contexts=(
        ProposedContext(1, raw_peer.VERIFICATION, (IMPLICIT_LE,)),
        ProposedContext(3, raw_peer.CT, (EXPLICIT_LE, IMPLICIT_LE)),
    ),
    max_pdu=16384,
    roles={raw_peer.CT: (True, True)},
)
MODELS = (STUDY_ROOT, PATIENT_ROOT, PATIENT_STUDY_ONLY)
HEADER_KEYS = tuple(  # of each kind: texts, names, numbers, sequences
    ObjectKey(tag, supported_vr(tag))
    for tag in (0x0008002A, 0x00081032, 0x00100010, 0x00181310, 0x00189219, 0x00280106, 0x00400275)
)
LARGEST_SEED = 3_000  # bytes
MAX_REMARKS = 2_000  # a remark for each element would be a second copy of the dataset


def associate_request(data: bytes) -> None:
    """The body of an A-ASSOCIATE-RQ."""
    try:
        request = parse_associate_request(memoryview(data))
    except PduError:
        return
    ids = [context.context_id for context in request.contexts]
    assert all(number % 2 for number in ids)
    assert len(set(ids)) == len(ids)
    assert max(len(request.calling_ae_title), len(request.called_ae_title)) <= 16
    assert request.max_length == 0 or request.max_length >= 16
    if request.identity is not None:
        assert request.identity.primary


def data_values_of_a_pdu(data: bytes) -> None:
    """The body of a P-DATA-TF: every byte belongs to one PDV."""
    try:
        values = list(data_values(memoryview(data)))
    except PduError:
        return
    assert sum(HEADER_SIZE + len(fragment) for _, _, fragment in values) == len(data)


def command_set(data: bytes) -> None:
    """A command set (PS3.7 6.3)."""
    with contextlib.suppress(PduError):
        command = parse_command(data)
        assert 0 <= command.field <= 0xFFFF
        assert 0 <= command.message_id <= 0xFFFF
        assert len(command.sop_class_uid) + len(command.sop_instance_uid) <= len(data)


def attributes(data: bytes) -> None:
    """A dataset; the first byte picks the transfer syntax that it is said to be in."""
    if data:
        _read(memoryview(data)[1:], SYNTAXES[data[0] % len(SYNTAXES)])


def part10(data: bytes) -> None:
    """A file: the way from its first byte to the attributes."""
    try:
        parts = split_part10(data)
    except InvalidObjectError:
        return
    assert 0 <= parts.dataset_offset < len(data)
    assert parts.transfer_syntax_uid
    _read(memoryview(data)[parts.dataset_offset :], parts.transfer_syntax_uid)


def _read(dataset: memoryview, syntax: str) -> None:
    read = _outcome(dataset, syntax)
    if isinstance(read, IndexedAttributes):
        assert 0 < len(read.instance.sop_instance_uid) <= MAX_KEPT_UID_LENGTH
        assert 0 < len(read.instance.sop_class_uid) <= MAX_KEPT_UID_LENGTH
        assert read.study.study_instance_uid
        assert read.series.series_instance_uid
        assert len(read.remarks) <= MAX_REMARKS
    known, all_known = reader._known_above, dict(reader._known_above)
    known.clear()
    assert _outcome(dataset, syntax) == read, "what was read before made a difference"
    known.update(all_known)


def _outcome(dataset: memoryview, syntax: str) -> IndexedAttributes | str:
    try:
        return read_attributes(dataset, syntax)
    except InvalidObjectError as error:
        assert error.message
        return error.message


def find_identifier(data: bytes) -> None:
    """What a C-FIND asks; the first byte picks the transfer syntax."""
    if not data:
        return
    constants = {RETRIEVE_AE_TAG: "TUIPACS", AVAILABILITY_TAG: "ONLINE"}
    try:
        query = read_identifier(
            data[1:],
            SYNTAXES[data[0] % 3],
            MODELS[data[0] // 3 % 3],
            constants=constants,
            is_relational=data[0] >= 128,
        )
    except (InvalidQueryError, QueryModelError) as error:
        assert error.message
        return
    for asked in (*query.keys, *query.below):
        if asked.condition is not None:
            asked.condition.fits("DOE^JOHN=x")
    for key in query.object_keys:
        key.fits(Value(key.vr, "20240131\\X", items=({0x00080100: Value("SH", "X")},)))
    assert len(query.keys) <= MAX_KEYS


def stored_header(data: bytes) -> None:
    """What a query reads of a stored object; the first byte picks the transfer syntax."""
    if not data:
        return
    try:
        found = read_object(BytesIO(data[1:]), 0, SYNTAXES[data[0] % len(SYNTAXES)], HEADER_KEYS)
    except InvalidObjectError as error:
        assert error.message
        return
    for key in HEADER_KEYS:
        key.fits(found.values.get(key.tag))
    layout = Layout(EXPLICIT_LE)
    utf8 = encodings_for(b"")[-1]
    assert layout.dataset(dict(found.values), utf8) is not None


def associate_accept(data: bytes) -> None:
    """The body of an A-ASSOCIATE-AC, as a hostile archive may send it."""
    try:
        accept = parse_associate_accept(memoryview(data), PROPOSAL)
    except PduError:
        return
    proposed = {context.context_id: context for context in PROPOSAL.contexts}
    for answer in accept.contexts:
        assert answer.transfer_syntax in ("", *proposed[answer.context_id].transfer_syntaxes)
    assert accept.max_length == 0 or accept.max_length >= 16


TARGETS: dict[str, Target] = {
    "association": association,
    "find_identifier": find_identifier,
    "stored_header": stored_header,
    "associate_accept": associate_accept,
    "associate_request": associate_request,
    "data_values": data_values_of_a_pdu,
    "command_set": command_set,
    "attributes": attributes,
    "part10": part10,
}


def seeds(name: str) -> Iterator[bytes]:
    """Good input for a target, from which to go astray."""
    yield from _SEEDS[name]()
    yield from kept(name)


def kept(name: str) -> list[bytes]:
    """Finds and instructive inputs that earlier runs left in the corpus folder."""
    return [path.read_bytes() for path in kept_files(name)]


def kept_files(name: str) -> list[Path]:
    return sorted((CORPUS / name).glob("*"))


def _requests() -> Iterator[bytes]:
    ct = (3, raw_peer.CT, [raw_peer.EXPLICIT, raw_peer.IMPLICIT, raw_peer.JPEG2000])
    identity = raw_peer.item(0x58, b"\2\1\0\4user\0\4pass")
    extended = raw_peer.item(0x56, b"\0\x11" + raw_peer.VERIFICATION.encode() + b"\1\1")
    yield raw_peer.associate_rq()[6:]
    yield raw_peer.associate_rq(
        [raw_peer.ECHO_CONTEXT, ct],
        user=raw_peer.role_item(raw_peer.CT, 1, 1) + identity + extended,
    )[6:]


def _values() -> Iterator[bytes]:
    command = raw_peer.command(0x0030, raw_peer.VERIFICATION, dataset=False)
    yield raw_peer.p_data(1, 3, command)[6:]
    yield raw_peer.p_data(3, 0, b"data")[6:] + raw_peer.p_data(3, 2, b"")[6:]


def _commands() -> Iterator[bytes]:
    yield raw_peer.command(0x0030, raw_peer.VERIFICATION, dataset=False)
    yield raw_peer.command(0x0001, raw_peer.CT, dataset=True, instance="1.2.3")


def small_files() -> list[Path]:
    """pydicom's smallest files; of the look-alikes (one series, one folder) only two."""
    found: dict[tuple[Path, int], list[Path]] = {}
    for path in bundled_files():
        size = path.stat().st_size
        if size <= LARGEST_SEED:
            found.setdefault((path.parent, size // 100), []).append(path)
    return [path for group in found.values() for path in group[:2]]


def _datasets() -> Iterator[bytes]:
    sequences = hostile.nested(3) + hostile.element(0x00400275, "SQ", b"")
    yield b"\1" + hostile.make(hostile.hostile_texts())
    yield b"\1" + hostile.make({0x7FE00010: None}, sequences)
    yield b"\3" + hostile.deflate(hostile.make())
    for path in small_files():
        data = path.read_bytes()
        with contextlib.suppress(InvalidObjectError):
            parts = split_part10(data)
            claimed = parts.transfer_syntax_uid
            number = SYNTAXES.index(claimed) if claimed in SYNTAXES else 4
            yield bytes((number,)) + data[parts.dataset_offset :]


def _files() -> Iterator[bytes]:
    yield hostile.part10(hostile.make())
    yield hostile.part10(hostile.deflate(hostile.make()), DEFLATED)
    for path in small_files():
        yield path.read_bytes()


def _identifiers() -> Iterator[bytes]:
    level = hostile.element(0x00080052, "CS", b"STUDY ")
    dates = hostile.element(0x00080020, "DA", b"20200101-20201231 ")
    name = hostile.element(0x00100010, "PN", b"D*E^J?HN")
    rest = hostile.element(0x0020000D, "UI", b"1.2\\1.3\0")
    rest += hostile.element(0x00201206, "IS", b"") + hostile.element(0x00400275, "SQ", b"")
    yield b"\1" + dates + level + name + rest
    image = hostile.element(0x00080052, "CS", b"IMAGE ")
    item = b"\xfe\xff\x00\xe0\x0a\0\0\0" + hostile.element(0x00401001, "SH", b"R*")
    requests = hostile.element(0x00400275, "SQ", item)
    moment = hostile.element(0x0008002A, "DT", b"2024-0500-2025+0100 ")
    yield b"\x85" + moment + image + rest[:16] + requests
    series = hostile.element(0x00080052, "CS", b"SERIES")
    yield b"\1" + series + hostile.element(0x00080060, "CS", b"CT\\MR ") + rest[:16]


def _accepts() -> Iterator[bytes]:
    request = parse_associate_request(memoryview(encode_associate_request(PROPOSAL))[6:])
    answers = [ContextAnswer(1, 0, IMPLICIT_LE), ContextAnswer(3, 4, IMPLICIT_LE)]
    yield encode_associate_accept(request, answers, {raw_peer.CT: (True, False)}, 16384)[6:]


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "association": conversations,
    "find_identifier": _identifiers,
    "stored_header": _datasets,
    "associate_accept": _accepts,
    "associate_request": _requests,
    "data_values": _values,
    "command_set": _commands,
    "attributes": _datasets,
    "part10": _files,
}
