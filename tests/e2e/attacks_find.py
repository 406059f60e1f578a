"""Attacks on the query service (PS3.4 C): identifiers that no honest program sends."""

from __future__ import annotations

from tests.dimse.raw_peer import (
    ECHO_CONTEXT,
    EXPLICIT,
    VERIFICATION,
    Proposal,
    RawPeer,
    associate_rq,
    command,
    p_data,
)
from tests.e2e import hostile
from tests.e2e.attacks import BEYOND, WARM_UP, Attack, End, Sending, accepted, goes_on

LIST = (
    "C-FIND with * x 10,000, -, NUL",
    "C-FIND with a 64 KiB key",
    "C-FIND with a wrong level",
    "C-FIND with a missing unique key",
)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
FIND_CONTEXT: Proposal = (5, FIND, [EXPLICIT])
C_FIND = 0x0020
CANNOT_UNDERSTAND, OUT_OF_RESOURCES = 0xC000, 0xA700
DOES_NOT_MATCH_CLASS, USER_REJECTION = 0xA900, 1

NAME, PATIENT_ID, DATE = (0x00100010, "PN"), (0x00100020, "LO"), (0x00080020, "DA")
STUDY_UID, SERIES_UID = (0x0020000D, "UI"), (0x0020000E, "UI")
Key = tuple[tuple[int, str], bytes]

EVERYTHING = goes_on(*[0xFF00] * WARM_UP, 0)
NOTHING = goes_on(0)


def _identifier(level: str, *keys: Key) -> bytes:
    level_key = hostile.element(0x00080052, "CS", hostile.text(level)) if level else b""
    parts = [(tag, hostile.element(tag, vr, value)) for (tag, vr), value in keys]
    return b"".join(part for _, part in sorted([(0x00080052, level_key), *parts]))


def _asks(identifier: bytes) -> Sending:
    def sends(peer: RawPeer) -> None:
        peer.request(5, command(C_FIND, FIND, dataset=True), identifier)

    return sends


def _study(item: str, name: str, end: End, *keys: Key, level: str = "STUDY") -> Attack:
    sends = _asks(_identifier(level, *keys))
    return Attack(item, name, sends, end, True, (ECHO_CONTEXT, FIND_CONTEXT))


def _raw(name: str, end: End, identifier: bytes) -> Attack:
    return Attack(BEYOND, name, _asks(identifier), end, True, (ECHO_CONTEXT, FIND_CONTEXT))


_SIGNS, _LONG, _LEVEL, _UNIQUE = LIST
_A_UID = hostile.uid("1.2.3")

ATTACKS = (
    _study(_SIGNS, "*", EVERYTHING, (NAME, b"*" * 10_000)),
    _study(_SIGNS, "*, as a patient ID", EVERYTHING, (PATIENT_ID, b"*" * 10_000)),
    _study(_SIGNS, "*a for ever", NOTHING, (PATIENT_ID, b"*a" * 500)),
    _study(_SIGNS, "*^ for ever", NOTHING, (NAME, b"*^" * 500 + b"*x")),
    _study(_SIGNS, "?", NOTHING, (PATIENT_ID, b"?" * 1000)),
    _study(_SIGNS, "-", goes_on(CANNOT_UNDERSTAND), (DATE, b"- ")),
    _study(_SIGNS, "a range of nonsense", goes_on(CANNOT_UNDERSTAND), (DATE, b"99999999-1")),
    _study(_SIGNS, "NUL: padding", EVERYTHING, (PATIENT_ID, b"\0\0")),
    _study(_SIGNS, "NUL inside", NOTHING, (PATIENT_ID, b"A\0B*")),
    _study(_SIGNS, "% and _ are text", NOTHING, (PATIENT_ID, b"%%__")),
    _study(_SIGNS, "a quote and SQL", NOTHING, (PATIENT_ID, b"' OR 1=1; --")),
    _study(_SIGNS, "ESC", goes_on(CANNOT_UNDERSTAND), (NAME, b"\x1b[2J\x9b")),
    _study(_SIGNS, "* in a UID", NOTHING, (STUDY_UID, b"1.*\0")),
    _study(_LONG, "", goes_on(CANNOT_UNDERSTAND), (PATIENT_ID, b"A" * 65_534)),
    _study(_LONG, "of 10,000 UIDs, none of them here", NOTHING, (STUDY_UID, b"1.2\\" * 16_383)),
    _raw(
        "an identifier of 2 MiB",
        goes_on(OUT_OF_RESOURCES),
        _identifier("STUDY") + hostile.element(0x00091010, "OB", bytes(2 << 20)),
    ),
    _study(_LEVEL, "none", goes_on(DOES_NOT_MATCH_CLASS), (NAME, b""), level=""),
    _study(_LEVEL, "of another model", goes_on(DOES_NOT_MATCH_CLASS), level="PATIENT"),
    _study(_LEVEL, "unheard of", goes_on(DOES_NOT_MATCH_CLASS), level="../etc"),
    _study(_LEVEL, "two", goes_on(DOES_NOT_MATCH_CLASS), level="STUDY\\SERIES"),
    _study(_UNIQUE, "", goes_on(DOES_NOT_MATCH_CLASS), level="SERIES"),
    _study(_UNIQUE, "empty", goes_on(DOES_NOT_MATCH_CLASS), (STUDY_UID, b""), level="SERIES"),
    _study(
        _UNIQUE,
        "two of them",
        goes_on(DOES_NOT_MATCH_CLASS),
        (STUDY_UID, b"1.2\\1.3\0"),
        level="SERIES",
    ),
    _study(
        _UNIQUE, "of the series", goes_on(DOES_NOT_MATCH_CLASS), (STUDY_UID, _A_UID), level="IMAGE"
    ),
    _study(_UNIQUE, "below the level", goes_on(DOES_NOT_MATCH_CLASS), (SERIES_UID, _A_UID)),
    Attack(
        BEYOND,
        "C-FIND without an identifier",
        p_data(5, 3, command(C_FIND, FIND, dataset=False)),
        goes_on(DOES_NOT_MATCH_CLASS),
        True,
        (ECHO_CONTEXT, FIND_CONTEXT),
    ),
    _raw("C-FIND with an empty identifier", goes_on(CANNOT_UNDERSTAND), b""),
    _raw("C-FIND with noise", goes_on(CANNOT_UNDERSTAND), bytes(range(256)) * 20),
    _raw(
        "C-FIND cut off inside a key",
        goes_on(CANNOT_UNDERSTAND),
        _identifier("STUDY", (NAME, b"DOE*"))[:-2],
    ),
    _raw(
        "C-FIND with 5,000 nested sequences",
        goes_on(CANNOT_UNDERSTAND),
        _identifier("STUDY") + hostile.nested(5000),
    ),
    _raw(
        "C-FIND with 60,000 keys",
        goes_on(CANNOT_UNDERSTAND),
        _identifier("STUDY") + hostile.many_elements(60_000),
    ),
    _raw(
        "C-FIND with a key twice",
        goes_on(CANNOT_UNDERSTAND),
        _identifier("STUDY", (NAME, b"A "), (NAME, b"B ")),
    ),
    Attack(
        BEYOND,
        "C-FIND on the context of Verification",
        lambda peer: peer.request(1, command(C_FIND, VERIFICATION, dataset=True), b"x"),
        goes_on(0x0122),
        True,
    ),
    Attack(
        BEYOND,
        "a query by a stranger",
        associate_rq([ECHO_CONTEXT, FIND_CONTEXT], calling=b"STRANGER"),
        accepted({1: 0, 5: USER_REJECTION}, known=False),
    ),
)
