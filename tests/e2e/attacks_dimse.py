"""Attacks on messages (PS3.7, PS3.8 E): presentation data values, command sets, datasets."""

from __future__ import annotations

from tests.dimse.raw_peer import (
    CT,
    VERIFICATION,
    RawPeer,
    command,
    element,
    p_data,
    pdu,
    us,
)
from tests.e2e import hostile
from tests.e2e.attacks import (
    ABORTED,
    BEYOND,
    UNEXPECTED,
    UNRECOGNIZED,
    Attack,
    End,
    Sending,
    aborted,
    closed,
    goes_on,
)

LIST = (
    "PDV length 0 and 1",
    "unknown context",
    "dataset before command",
    "a command in 1,000 fragments",
    "a missing last fragment",
    "no CommandField",
    "field 9999",
    "US of the wrong length",
    "SOP class other than the context's",
    "command and dataset UIDs that differ",
    "C-CANCEL for nothing",
    "C-STORE-RSP out of the blue",
    "dataset flag that lies both ways",
)

MR = "1.2.840.10008.5.1.4.1.1.4"
UNRECOGNIZED_OPERATION, CLASS_NOT_SUPPORTED = 0x0211, 0x0122

ECHO = command(0x0030, VERIFICATION, dataset=False)
STORE = command(0x0001, CT, dataset=True, instance="1.2")
RELEASE = pdu(5, bytes(4))
CANCEL = element(0x0100, us(0x0FFF)) + element(0x0120, us(9)) + element(0x0800, us(0x0101))


def _bare(field: bytes | None, *more: bytes) -> bytes:
    """A C-ECHO of chosen elements; the command field as raw bytes."""
    body = element(0x0002, VERIFICATION.encode()) + b"".join(more)
    return p_data(1, 3, body if field is None else body + element(0x0100, field))


_ID, _NO_DATA = element(0x0110, us(1)), element(0x0800, us(0x0101))


def _response(field: int) -> bytes:
    return _bare(us(field), element(0x0120, us(1)), _NO_DATA, element(0x0900, us(0)))


def _in_pieces(context_id: int, data: bytes, *, pieces: int) -> bytes:
    """A command as so many PDUs of a byte or nothing."""
    bytes_then_none = [data[at : at + 1] for at in range(pieces - 1)]
    rest = data[pieces - 1 :]
    return b"".join(p_data(context_id, 1, part) for part in bytes_then_none) + p_data(
        context_id, 3, rest
    )


def _in_one_pdu(context_id: int, data: bytes) -> bytes:
    values = b"".join(p_data(context_id, 1, data[at : at + 1])[6:] for at in range(len(data)))
    return pdu(4, values + p_data(context_id, 3, b"")[6:])


def _long_echo() -> bytes:
    """An echo with an element that nobody knows, of 1,000 bytes in all."""
    body = ECHO[12:] + element(0x7777, bytes(1000 - len(ECHO) - 8))
    return element(0, len(body).to_bytes(4, "little")) + body


def _store(
    dataset: bytes, *, sop_class: str = CT, instance: str = "1.2", announced: bool = True
) -> Sending:
    def sends(peer: RawPeer) -> None:
        header = command(0x0001, sop_class, dataset=announced, instance=instance)
        peer.request(3, header, dataset)

    return sends


def _asks(field: int, sop_class: str, dataset: bytes) -> Sending:
    """A request of another service, on the context of Verification."""

    def sends(peer: RawPeer) -> None:
        peer.request(1, command(field, sop_class, dataset=True), dataset)

    return sends


_BEGUN = p_data(3, 3, STORE)
_MEBIBYTE = p_data(3, 0, bytes(65_536)) * 16
_IMPOSSIBLE = aborted("impossible length")
_NOT_TWO = "not of two bytes"

ATTACKS = (
    *(
        Attack("PDV length 0 and 1", name, pdu(4, data + b"\1\3"), _IMPOSSIBLE, inside=True)
        for name, data in (
            ("0", b"\0\0\0\0"),
            ("1", b"\0\0\0\1"),
            ("past the PDU", b"\0\0\0\x99"),
            ("FFFFFFFF", b"\xff\xff\xff\xff"),
        )
    ),
    Attack("PDV length 0 and 1", "cut off", pdu(4, b"\0\0"), aborted("cut off"), inside=True),
    *(
        Attack("unknown context", str(n), p_data(n, 3, ECHO), aborted("not accepted"), inside=True)
        for n in (0, 2, 5, 255)
    ),
    Attack(
        "dataset before command",
        "",
        p_data(3, 2, b"data"),
        aborted("no command announced", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "dataset before command",
        "in the middle of a command",
        p_data(3, 1, STORE[:20]) + p_data(3, 2, b"data"),
        aborted("no command announced", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "a command in 1,000 fragments",
        "a PDU each",
        _in_pieces(1, _long_echo(), pieces=1000),
        goes_on(0),
        inside=True,
    ),
    Attack(
        "a command in 1,000 fragments",
        "all in one PDU, and the last of nothing",
        _in_one_pdu(1, _long_echo()),
        goes_on(0),
        inside=True,
    ),
    Attack(
        "a command in 1,000 fragments",
        "of nothing",
        p_data(1, 1, b"") * 999 + p_data(1, 3, ECHO),
        goes_on(0),
        inside=True,
    ),
    Attack(
        "a command in 1,000 fragments",
        "and without end",
        p_data(1, 1, bytes(60_000)) * 2,
        aborted("without end"),
        inside=True,
    ),
    Attack(
        "a missing last fragment",
        "then a release",
        p_data(3, 3, STORE) + p_data(3, 0, b"half of it") + RELEASE,
        End(last="release", words="inside an object"),
        inside=True,
    ),
    Attack(
        "a missing last fragment",
        "then another command",
        p_data(3, 3, STORE) + p_data(3, 0, b"half of it") + p_data(3, 3, STORE),
        aborted("where a dataset was announced", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "a missing last fragment",
        "of a command, then its dataset",
        p_data(3, 1, STORE) + p_data(3, 2, b"data"),
        aborted("no command announced", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "a missing last fragment",
        "then another context",
        p_data(3, 1, STORE[:20]) + p_data(1, 3, STORE[20:]),
        aborted("changes its presentation context"),
        inside=True,
    ),
    Attack(
        "no CommandField",
        "",
        _bare(None, _ID, _NO_DATA),
        aborted("without command field"),
        inside=True,
    ),
    Attack(
        "no CommandField",
        "nothing at all",
        p_data(1, 3, b""),
        aborted("without command field"),
        inside=True,
    ),
    Attack(
        "no CommandField",
        "nor message ID",
        _bare(us(0x30), _NO_DATA),
        aborted("without message ID"),
        inside=True,
    ),
    Attack(
        "no CommandField",
        "nor data set type",
        _bare(us(0x30), _ID),
        aborted("without data set type"),
        inside=True,
    ),
    *(
        Attack(
            "field 9999",
            name,
            p_data(1, 3, command(field, VERIFICATION, dataset=False)),
            goes_on(UNRECOGNIZED_OPERATION),
            inside=True,
        )
        for name, field in (("", 9999), ("0", 0))
    ),
    Attack(
        "field 9999",
        "hexadecimal: it is a response",
        _response(0x9999),
        aborted("an answer to nothing"),
        inside=True,
    ),
    *(
        Attack(
            "US of the wrong length",
            f"{name} of {len(value)} bytes",
            data,
            aborted(_NOT_TWO),
            inside=True,
        )
        for value in (b"", b"\x30\0\0\0")
        for name, data in (
            ("command field", _bare(value, _ID, _NO_DATA)),
            ("message ID", _bare(us(0x30), element(0x0110, value), _NO_DATA)),
            ("data set type", _bare(us(0x30), _ID, element(0x0800, value))),
        )
    ),
    Attack(
        "US of the wrong length",
        "an element longer than the command",
        p_data(1, 3, ECHO[:-1]),
        aborted("longer than the command set"),
        inside=True,
    ),
    Attack(
        "US of the wrong length",
        "a header of four bytes",
        p_data(1, 3, ECHO[:12] + b"\0\0\0\1"),
        aborted("cut off inside"),
        inside=True,
    ),
    Attack(
        "US of the wrong length",
        "an element of group 0008",
        p_data(1, 3, b"\x08\0\x05\0\0\0\0\0"),
        aborted("outside group 0000"),
        inside=True,
    ),
    Attack(
        "SOP class other than the context's",
        "",
        _store(hostile.make(), sop_class=MR),
        goes_on(CLASS_NOT_SUPPORTED),
        inside=True,
    ),
    Attack(
        "SOP class other than the context's",
        "none",
        _store(hostile.make(), sop_class=""),
        goes_on(CLASS_NOT_SUPPORTED),
        inside=True,
    ),
    Attack(
        "SOP class other than the context's",
        "C-ECHO where objects go",
        p_data(3, 3, ECHO),
        goes_on(CLASS_NOT_SUPPORTED),
        inside=True,
    ),
    Attack(
        "SOP class other than the context's",
        "C-STORE where only an echo is heard",
        _asks(0x0001, CT, hostile.make()),
        goes_on(CLASS_NOT_SUPPORTED),
        inside=True,
    ),
    Attack(
        "command and dataset UIDs that differ",
        "SOP instance",
        _store(hostile.make(), instance="1.2.3.4"),
        goes_on(0xA900),
        inside=True,
    ),
    Attack(
        "command and dataset UIDs that differ",
        "SOP class",
        _store(
            hostile.make({0x00080016: ("UI", hostile.uid(MR)), 0x00080018: ("UI", b"1.22")}),
            instance="1.22",
        ),
        goes_on(0xA900),
        inside=True,
    ),
    Attack(
        "command and dataset UIDs that differ",
        "no SOP instance in the command",
        _store(hostile.make(), instance=""),
        goes_on(0x0117),
        inside=True,
    ),
    Attack("C-CANCEL for nothing", "", p_data(1, 3, CANCEL) * 3, goes_on(), inside=True),
    Attack(
        "C-CANCEL for nothing",
        "with a dataset",
        p_data(3, 3, CANCEL.replace(us(0x0101), us(1))) + p_data(3, 2, bytes(5000)),
        goes_on(),
        inside=True,
    ),
    *(
        Attack(
            "C-STORE-RSP out of the blue",
            name,
            _response(field),
            aborted("an answer to nothing"),
            inside=True,
        )
        for name, field in (("", 0x8001), ("C-ECHO-RSP", 0x8030), ("C-FIND-RSP", 0x8020))
    ),
    Attack(
        "dataset flag that lies both ways",
        "none is announced, and one follows",
        _store(hostile.make(), announced=False),
        aborted("no command announced", UNEXPECTED, 0xC000),
        inside=True,
    ),
    Attack(
        "dataset flag that lies both ways",
        "one is announced, and the next request follows",
        p_data(3, 3, STORE) + p_data(1, 3, ECHO),
        aborted("changes its presentation context"),
        inside=True,
    ),
    Attack(
        "dataset flag that lies both ways",
        "an echo with a dataset",
        _asks(0x0030, VERIFICATION, bytes(100_000)),
        goes_on(0),
        inside=True,
    ),
    Attack(
        "dataset flag that lies both ways",
        "one of no bytes",
        _store(b""),
        goes_on(0xC000),
        inside=True,
    ),
    *(
        Attack(BEYOND, f"{how} inside {what} object", _BEGUN + data + last, end, inside=True)
        for what, data in (("an", p_data(3, 0, b"half of it")), ("a large", _MEBIBYTE))
        for how, last, end in (
            ("an abort", pdu(7, bytes(4)), closed("the peer aborted", ABORTED, is_audited=False)),
            ("another context", p_data(1, 3, ECHO), aborted("changes its presentation context")),
            ("noise", b"\xff" * 6, aborted("unknown type 0xFF", UNRECOGNIZED)),
            ("a release", RELEASE, End(last="release", words="inside an object")),
        )
    ),
    Attack(
        BEYOND,
        "a large object whose UIDs differ from the command's",
        _store(hostile.make({0x7FE00010: ("OW", bytes(1 << 20))})),
        goes_on(0xA900),
        inside=True,
    ),
    Attack(
        BEYOND,
        "a large object that is none",
        _store(b"\x08\0" * (1 << 19)),
        goes_on(0xC000),
        inside=True,
    ),
    Attack(
        BEYOND,
        "a command of 60,000 bytes of UID",
        p_data(1, 3, command(0x0030, VERIFICATION + "\0" * 60_000, dataset=False)),
        goes_on(0),
        inside=True,
    ),
)
