"""Attacks on the upper layer (PS3.8): PDUs and association establishment."""

from __future__ import annotations

import socket
import struct

from tests.dimse.raw_peer import (
    CT,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    item,
    p_data,
    pdu,
    role_item,
)
from tests.e2e.attacks import (
    ABORTED,
    BEYOND,
    UNEXPECTED,
    UNRECOGNIZED,
    Attack,
    End,
    aborted,
    accepted,
    closed,
    rejected,
    turned_away,
)

LIST = (
    "zero-length RQ",
    "length FFFFFFFF",
    "one byte at a time",
    "half a header, then silence",
    "HTTP GET",
    "TLS hello on the plain port",
    "DICOM on the TLS port",
    "P-DATA before RQ",
    "a second RQ",
    "unknown PDU type",
    "wrong protocol version",
    "wrong application context",
    "0, 200 and 600 contexts",
    "even or duplicate ids",
    "0 or 1,000 syntaxes",
    "UIDs too long, with letters, empty",
    "AE titles blank, with ESC, non-ASCII, ../",
    "items past the end",
    "maximum length 0 and 1",
    "user identity of 64 KiB",
    "release collision",
    "RST after release",
)


ECHO = command(0x0030, VERIFICATION, dataset=False)
RELEASE = pdu(5, bytes(4))
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(194)
SYNTAXES = [f"1.2.3.{number}" for number in range(1000)]


def _byte_by_byte(peer: RawPeer) -> None:
    for byte in associate_rq():
        peer.send(bytes((byte,)))


def _release_and_reset(peer: RawPeer) -> None:
    """The confirmation meets a reset connection."""
    peer.send(RELEASE)
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()


def _crowded(number: int) -> bytes:
    """A context of 64 kB: 16,000 transfer syntaxes without a UID."""
    abstract = item(0x30, VERIFICATION.encode())
    return item(0x20, bytes((number, 0, 0, 0)) + abstract + item(0x40, b"") * 16_000)


def _uid(uid: str, *, transfer: bool = False) -> bytes:
    """A request with this abstract or transfer syntax beside a good context."""
    strange = (3, CT, [uid]) if transfer else (3, uid, [IMPLICIT])
    return associate_rq([ECHO_CONTEXT, strange])


def _called(title: bytes) -> bytes:
    return associate_rq(called=title)


_IDENTITY = b"\2\1" + b"\xfd\xe8" + b"x" * 65_000 + b"\0\0"
_ANOTHER = "another PDU than an association request first"
_TITLE = (1, 1, 7)  # called AE title not recognized
_STRANGER = (1, 1, 3)  # calling AE title not recognized

ATTACKS = (
    Attack("zero-length RQ", "", pdu(1, b""), turned_away("shorter than its fixed fields")),
    Attack(
        "zero-length RQ",
        "one byte short of the fixed fields",
        pdu(1, bytes(67)),
        turned_away("shorter than its fixed fields"),
    ),
    Attack("length FFFFFFFF", "RQ", b"\x01\0\xff\xff\xff\xff", turned_away("of 4294967295 bytes")),
    *(
        Attack(
            "length FFFFFFFF",
            name,
            bytes((kind, 0)) + b"\xff\xff\xff\xff",
            aborted("more than was agreed"),
            inside=True,
        )
        for kind, name in ((4, "P-DATA"), (5, "release"), (7, "abort"))
    ),
    Attack("one byte at a time", "", _byte_by_byte, accepted()),
    Attack("HTTP GET", "", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", turned_away("HTTP")),
    Attack("HTTP GET", "SSH", b"SSH-2.0-x\r\n", turned_away("SSH")),
    Attack("HTTP GET", "noise", b"\xff" * 64, turned_away("no DICOM")),
    Attack("TLS hello on the plain port", "", HELLO, turned_away("TLS")),
    Attack(
        "DICOM on the TLS port",
        "",
        associate_rq(),
        turned_away("sent DICOM without TLS to the TLS port"),
        to_tls_port=True,
    ),
    Attack(
        "DICOM on the TLS port",
        "HTTP",
        b"GET / HTTP/1.1\r\n\r\n",
        closed("sent no TLS to the TLS port"),
        to_tls_port=True,
    ),
    Attack("P-DATA before RQ", "", p_data(1, 3, ECHO), turned_away(_ANOTHER)),
    Attack("P-DATA before RQ", "release", RELEASE, turned_away(_ANOTHER)),
    Attack(
        "a second RQ",
        "",
        associate_rq(),
        aborted("ASSOCIATE_RQ in the middle", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "unknown PDU type",
        "",
        b"\xff\0\0\0\0\4abcd",
        aborted("unknown type 0xFF", UNRECOGNIZED),
        inside=True,
    ),
    Attack(
        "unknown PDU type",
        "a release response that nobody asked for",
        pdu(6, bytes(4)),
        aborted("RELEASE_RP in the middle", UNEXPECTED),
        inside=True,
    ),
    Attack(
        "wrong protocol version",
        "",
        associate_rq(version=2),
        rejected((1, 2, 2), "another version of the DICOM upper layer protocol"),
    ),
    Attack(
        "wrong application context",
        "",
        associate_rq(application_context="1.2.840.10008.3.1.1.2"),
        rejected((1, 1, 2), "another application context"),
    ),
    Attack(
        "wrong application context",
        "empty",
        associate_rq(application_context=""),
        rejected((1, 1, 2), "another application context"),
    ),
    Attack(
        "0, 200 and 600 contexts", "0", associate_rq([]), turned_away("no presentation context")
    ),
    Attack(
        "0, 200 and 600 contexts",
        "200",
        associate_rq([((2 * n + 1) % 256, VERIFICATION, [IMPLICIT]) for n in range(200)]),
        turned_away("twice"),
    ),
    Attack(
        "0, 200 and 600 contexts",
        "600",
        associate_rq([(1, CT, [EXPLICIT])] * 600),
        turned_away("twice"),
    ),
    Attack(
        "0, 200 and 600 contexts",
        "128, the most there can be",
        associate_rq([(2 * n + 1, VERIFICATION, [IMPLICIT]) for n in range(128)]),
        accepted({2 * n + 1: 0 for n in range(128)}),
    ),
    *(
        Attack(
            "even or duplicate ids",
            f"context ID {number}",
            associate_rq([(number, CT, [EXPLICIT])]),
            turned_away("even presentation context ID"),
        )
        for number in (0, 2)
    ),
    Attack(
        "even or duplicate ids",
        "duplicate",
        associate_rq([ECHO_CONTEXT, ECHO_CONTEXT]),
        turned_away("twice"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "no transfer syntax",
        associate_rq([ECHO_CONTEXT, (3, CT, [])]),
        accepted({1: 0, 3: 4}),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "1,000 transfer syntaxes",
        associate_rq([ECHO_CONTEXT, (3, CT, SYNTAXES)]),
        turned_away("more than 100 transfer syntaxes"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "100 transfer syntaxes",
        associate_rq([ECHO_CONTEXT, (3, CT, [*SYNTAXES[:99], EXPLICIT])]),
        accepted({1: 0, 3: 0}),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "112,000 empty transfer syntaxes",
        associate_rq([], items=b"".join(_crowded(number) for number in range(1, 14, 2))),
        turned_away("an empty transfer syntax"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "11,000 items of unknown types",
        associate_rq(items=item(0x77, b"") * 11_000),
        turned_away("more than 10000 items"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "16,000 empty items of user information",
        associate_rq(user=item(0x56, b"") * 16_000),
        turned_away("more than 1000 items of user information"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "no abstract syntax",
        associate_rq(items=item(0x20, bytes((9, 0, 0, 0)) + item(0x40, EXPLICIT.encode()))),
        turned_away("exactly one abstract syntax"),
    ),
    Attack(
        "0 or 1,000 syntaxes",
        "two abstract syntaxes",
        associate_rq(items=item(0x20, bytes((9, 0, 0, 0)) + item(0x30, CT.encode()) * 2)),
        turned_away("exactly one abstract syntax"),
    ),
    *(
        Attack(
            "UIDs too long, with letters, empty",
            f"abstract syntax {name}",
            _uid(uid),
            accepted({1: 0, 3: 3}),
        )
        for name, uid in (
            ("of 65 characters", "1." + "2" * 63),
            ("of 60,000 characters", "1." + "2" * 59_998),
            ("with a path", "../../etc/passwd"),
            ("with ESC", "1.2\x1b[2J"),
        )
    ),
    Attack(
        "UIDs too long, with letters, empty",
        "transfer syntax of 60,000 characters",
        _uid("1." + "2" * 59_998, transfer=True),
        accepted({1: 0, 3: 4}),
    ),
    *(
        Attack(
            "UIDs too long, with letters, empty",
            f"an empty {kind} syntax",
            _uid("", transfer=kind == "transfer"),
            turned_away(f"an empty {kind} syntax"),
        )
        for kind in ("abstract", "transfer")
    ),
    Attack(
        "UIDs too long, with letters, empty",
        "with letters, as some senders make them",
        associate_rq([ECHO_CONTEXT, (3, "1.2.abc", ["1.2.x"])]),
        accepted({1: 0, 3: 0}),
    ),
    *(
        Attack("AE titles blank, with ESC, non-ASCII, ../", f"called {name}", data, end)
        for name, data, end in (
            ("blank", _called(b""), rejected(_TITLE, "called AE title ''")),
            ("with ESC", _called(b"\x1b[31mRED"), rejected(_TITLE, "called AE title '")),
            ("non-ASCII", _called(b"T\xdcIPACS"), rejected(_TITLE, "called AE title '")),
            ("a path", _called(b"../../etc/passwd"), rejected(_TITLE, "'../../etc/passwd'")),
        )
    ),
    *(
        Attack(
            "AE titles blank, with ESC, non-ASCII, ../",
            f"calling {name}",
            associate_rq(calling=title),
            end,
        )
        for name, title, end in (
            ("blank", b"", rejected(_STRANGER, "the calling AE title")),
            ("with ESC", b"\x1b[31mRED", rejected(_STRANGER, "the calling AE title")),
            ("with NUL", b"A\0B", rejected(_STRANGER, "the calling AE title")),
            ("non-ASCII", b"M\xdcLLER", rejected(_STRANGER, "the calling AE title")),
            ("a path: a stranger, who may echo", b"../../etc/passwd", accepted(known=False)),
        )
    ),
    Attack(
        "items past the end",
        "a context longer than the PDU",
        associate_rq(items=b"\x20\0\xff\xff"),
        turned_away("longer than what holds it"),
    ),
    Attack(
        "items past the end",
        "a sub-item cut off in its header",
        associate_rq(user=b"\x51"),
        turned_away("cut off in its header"),
    ),
    Attack(
        "items past the end",
        "a role selection longer than its item",
        associate_rq(user=role_item(CT, 1, 0)[:-1]),
        turned_away("longer than what holds it"),
    ),
    Attack(
        "items past the end",
        "a role selection whose UID is longer than it",
        associate_rq(user=item(0x54, b"\0\x99")),
        turned_away("role selection"),
    ),
    Attack(
        "items past the end",
        "a context without an ID",
        associate_rq(items=item(0x20, b"\1")),
        turned_away("without an ID"),
    ),
    Attack(
        "maximum length 0 and 1",
        "0: no limit",
        associate_rq(max_length=0),
        accepted(),
    ),
    Attack(
        "maximum length 0 and 1",
        "1: no room for a single byte",
        associate_rq(max_length=1),
        turned_away("maximum length"),
    ),
    Attack(
        "user identity of 64 KiB",
        "on a port without TLS nobody asks for it",
        associate_rq(user=item(0x58, _IDENTITY)),
        accepted(),
    ),
    Attack(
        "user identity of 64 KiB",
        "longer than its item",
        associate_rq(user=item(0x58, _IDENTITY)[:-3]),
        turned_away("longer than what holds it"),
    ),
    Attack("release collision", "twice", RELEASE * 2, End(last="release"), inside=True),
    Attack(
        "release collision",
        "request and response at once",
        RELEASE + pdu(6, bytes(4)),
        End(last="release"),
        inside=True,
    ),
    Attack(
        "release collision",
        "data behind the release",
        RELEASE + p_data(1, 3, ECHO),
        End(last="release"),
        inside=True,
    ),
    Attack("RST after release", "", _release_and_reset, End(last="gone"), inside=True),
    Attack(
        BEYOND,
        "an implementation version name that is none",
        associate_rq(user=item(0x55, b"\x1b]0;evil\x07[red]\r\n\0" + b"x" * 60_000)),
        accepted(),
    ),
    Attack(
        BEYOND,
        "an abort as the first word",
        pdu(7, bytes(4)),
        closed("aborted before its association request"),
    ),
    Attack(
        BEYOND,
        "an abort with codes from nowhere",
        pdu(7, b"\0\0\xee\xee"),
        End(last="closed", state=ABORTED, words="the peer aborted (source 238, reason 238)"),
        inside=True,
    ),
    Attack(
        BEYOND,
        "no proposed context is ours",
        associate_rq([(1, "1.2.840.10008.5.1.4.31", [IMPLICIT]), (3, "1.2.3", [])]),
        accepted({1: 3, 3: 4}),
    ),
    Attack(
        BEYOND,
        "a PDU of no data",
        pdu(4, b""),
        aborted("without a presentation data value"),
        inside=True,
    ),
)
