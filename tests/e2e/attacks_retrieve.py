"""Attacks on retrieving and storage commitment (PS3.4 C.4.2, C.4.3, J), and on who may use them."""

from __future__ import annotations

from collections.abc import Callable

from tests.dimse.raw_peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Proposal,
    RawPeer,
    associate_rq,
    command,
    element,
    item,
    p_data,
    pdu,
    read_elements,
    role_item,
    us,
)
from tests.e2e import hostile
from tests.e2e.attacks import (
    ABORTED,
    AWAY,
    BEYOND,
    ECHOES,
    HERE,
    MIRROR,
    PEER,
    SILENT,
    UNEXPECTED,
    Attack,
    End,
    Sending,
    aborted,
    accepted,
    goes_on,
    turned_away,
)
from tuipacs.dicom.commitment import (
    MAX_DATASET,
    MAX_REFERENCES,
    encode_commitment,
    read_commitment,
)

LIST = (
    "C-MOVE to unknown, self and in a loop",
    "C-GET without role",
    "commitment of 100,000 UIDs",
)
_MOVE_TO, _NO_ROLE, _COMMITMENT = LIST

MOVE, GET = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3"  # Patient Root
COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
C_MOVE, C_GET, N_ACTION, N_EVENT_REPORT = 0x0021, 0x0010, 0x0130, 0x0100
DONE, USER_REJECTION = 0x0000, 1
UNKNOWN_DESTINATION, NONE_SENT, OUT_OF_RESOURCES = 0xA801, 0xA702, 0xA701
DOES_NOT_MATCH_CLASS, CANNOT_UNDERSTAND = 0xA900, 0xC000
CLASS_NOT_SUPPORTED, PROCESSING_FAILURE = 0x0122, 0x0110
NO_SUCH_INSTANCE, NO_SUCH_EVENT, NO_SUCH_ACTION = 0x0112, 0x0113, 0x0123
INVALID_ARGUMENT, RESOURCE_LIMITATION = 0x0115, 0x0213

TAKES_CT = role_item(CT, 0, 1)
REPORTS = role_item(COMMITMENT, 0, 1)


def _context(uid: str) -> tuple[Proposal, ...]:
    return ECHO_CONTEXT, CT_CONTEXT, (5, uid, [EXPLICIT])


def _level(level: bytes, *keys: bytes) -> bytes:
    return hostile.element(0x00080052, "CS", level) + b"".join(keys)


GET_CONTEXTS = _context(GET)
EVERYTHING = _level(b"PATIENT ", hostile.element(0x00100020, "LO", b"SECRET-ID "))
"""What is in the archive before the attacks, and no more."""


def _move(destination: bytes, identifier: bytes | None = EVERYTHING) -> Sending:
    body = element(0x0002, MOVE.encode()) + element(0x0100, us(C_MOVE)) + element(0x0110, us(7))
    body += element(0x0600, destination) + element(0x0700, us(0))
    body += element(0x0800, us(0x0101 if identifier is None else 1))
    return lambda peer: peer.request(5, body, identifier)


def _get(identifier: bytes | None = EVERYTHING) -> Sending:
    header = command(C_GET, GET, dataset=identifier is not None)
    return lambda peer: peer.request(5, header, identifier)


def _moves(
    item: str, name: str, to: bytes, end: End, identifier: bytes | None = EVERYTHING
) -> Attack:
    return Attack(item, name, _move(to, identifier), end, True, _context(MOVE))


def _gets(
    item: str,
    name: str,
    end: End,
    sends: Sending | None = None,
    *,
    identifier: bytes | None = EVERYTHING,
    user: bytes = TAKES_CT,
) -> Attack:
    return Attack(item, name, sends or _get(identifier), end, True, GET_CONTEXTS, user=user)


def first_store(peer: RawPeer) -> dict[int, bytes]:
    """Have everything given; the command of the first C-STORE, once its object is there."""
    sends = _get()
    assert callable(sends)
    sends(peer)
    store: dict[int, bytes] = {}
    while True:
        kind, body = peer.read()
        assert kind == 4, (kind, body)
        if body[5] & 1:
            store = read_elements(body[6:])
        elif body[5] & 2:
            assert store[0x0100] == us(0x0001)
            return store


def _response(
    store: dict[int, bytes],
    status: bytes = us(0),
    *,
    message: bytes | None = None,
    instance: bytes | None = None,
    dataset: bool = False,
) -> bytes:
    body = element(0x0002, CT.encode()) + element(0x0100, us(0x8001))
    body += element(0x0120, store[0x0110] if message is None else message)
    body += element(0x0800, us(1 if dataset else 0x0101)) + element(0x0900, status)
    return p_data(3, 3, body + element(0x1000, store[0x1000] if instance is None else instance))


def _says(answer: Callable[[dict[int, bytes]], bytes]) -> Sending:
    return lambda peer: peer.send(answer(first_store(peer)))


def _vanishes(sends: Sending) -> Sending:
    def vanish(peer: RawPeer) -> None:
        assert callable(sends)
        sends(peer)
        peer.answer()  # the counts before the first object
        peer.socket.close()

    return vanish


def _twice(sends: Sending) -> Sending:
    def both(peer: RawPeer) -> None:
        assert callable(sends)
        sends(peer)
        sends(peer)

    return both


# -- storage commitment


def _normalized(
    field: int, number: int, kind: int, dataset: bytes | None, instance: str = INSTANCE
) -> Sending:
    body = element(0x0002 if field == N_EVENT_REPORT else 0x0003, COMMITMENT.encode())
    body += element(0x0100, us(field)) + element(0x0110, us(7))
    body += element(0x0800, us(0x0101 if dataset is None else 1))
    body += element(0x1000 if field == N_EVENT_REPORT else 0x1001, instance.encode())
    body += element(number, us(kind))
    return lambda peer: peer.request(5, body, dataset)


def _action(dataset: bytes | None, kind: int = 1, instance: str = INSTANCE) -> Sending:
    return _normalized(N_ACTION, 0x1008, kind, dataset, instance)


def _event(dataset: bytes | None, kind: int = 1, instance: str = INSTANCE) -> Sending:
    return _normalized(N_EVENT_REPORT, 0x1002, kind, dataset, instance)


def _list(count: int, transaction: str = "1.2.3") -> bytes:
    items = ((CT, f"1.2.{number}") for number in range(count))
    return encode_commitment(transaction, items, implicit=False)


def _long(make: Callable[[], bytes], send: Callable[[bytes], Sending]) -> Sending:
    """A list that is made when it is sent: as a constant it would stay in memory."""

    def sends(peer: RawPeer) -> None:
        peer.socket.settimeout(30)
        asks = send(make())
        assert callable(asks)
        asks(peer)

    return sends


def _hears_of_all(peer: RawPeer) -> None:
    """Its report comes on the same association: none of them is here."""
    asks = _long(lambda: _list(MAX_REFERENCES, "1.2.4"), _action)
    assert callable(asks)
    asks(peer)
    assert peer.status() == DONE
    event = peer.answer()
    assert event[0x0100] == us(N_EVENT_REPORT)
    parts, last = [], False
    while not last:
        kind, body = peer.read()
        assert kind == 4, (kind, body)
        parts.append(body[6:])
        last = bool(body[5] & 2)
    report = read_commitment(b"".join(parts), EXPLICIT)
    assert (len(report.referenced), len(report.failed)) == (0, MAX_REFERENCES)
    assert {failed.reason for failed in report.failed} == {NO_SUCH_INSTANCE}
    body = element(0x0100, us(0x8100)) + element(0x0120, event[0x0110])
    peer.send(p_data(5, 3, body + element(0x0800, us(0x0101)) + element(0x0900, us(0))))


def _commits(
    item: str, name: str, end: End, sends: Sending, calling: str = AWAY, user: bytes = b""
) -> Attack:
    return Attack(item, name, sends, end, True, _context(COMMITMENT), calling=calling, user=user)


_REFUSED_DATASETS: tuple[tuple[str, bytes | None], ...] = (
    ("without a dataset", None),
    ("with a dataset of nothing", b""),
    ("with noise", bytes(range(256)) * 20),
    ("with half a list", _list(3)[:-5]),
    ("with 5,000 nested sequences", _list(1) + hostile.nested(5000)),
    ("without a transaction", encode_commitment("", [(CT, "1.2")], implicit=False)),
    ("with a path for a UID", encode_commitment("1.2.3", [(CT, "../../x")], implicit=False)),
)

# -- who may not


def _may_not(
    calling: bytes, uid: str, end: End, user: bytes = b"", who: str = "a stranger"
) -> Attack:
    words = {MOVE: "C-MOVE", GET: "C-GET", COMMITMENT: "commitment"}[uid]
    items = {MOVE: _MOVE_TO, GET: _NO_ROLE, COMMITMENT: _COMMITMENT}
    contexts = [ECHO_CONTEXT, (5, uid, [EXPLICIT, IMPLICIT])]
    request = associate_rq(contexts, calling=calling, user=user)
    name = f"{words} by {who}" + (" with a role" if user else "")
    return Attack(items[uid], name, request, end)


_UNKNOWN = accepted({1: 0, 5: USER_REJECTION}, known=False)
_KNOWN = accepted({1: 0, 5: USER_REJECTION})


def _extended(data: bytes, uid: str, name: str, end: End) -> Attack:
    request = associate_rq([ECHO_CONTEXT, (5, uid, [EXPLICIT])], user=item(0x56, data))
    return Attack(BEYOND, f"extended negotiation: {name}", request, end)


def _information(uid: str, data: bytes) -> bytes:
    return len(uid).to_bytes(2, "big") + uid.encode() + data


_IMPOSSIBLE = turned_away("an extended negotiation of the wrong length")

SHORT = (
    *(
        attack
        for uid, role in ((MOVE, b""), (GET, b""), (GET, TAKES_CT), (COMMITMENT, b""))
        for attack in (
            _may_not(b"STRANGER", uid, _UNKNOWN, role),
            _may_not(ECHOES.encode(), uid, _KNOWN, role, "a node that may only echo"),
        )
    ),
    *(
        Attack(
            name,
            "on the context of Verification",
            lambda peer, field=field, uid=uid: peer.request(  # type: ignore[misc]
                1, command(field, uid, dataset=True), EVERYTHING
            ),
            goes_on(CLASS_NOT_SUPPORTED),
            inside=True,
        )
        for name, field, uid in zip(
            LIST, (C_MOVE, C_GET, N_ACTION), (MOVE, GET, VERIFICATION), strict=True
        )
    ),
    *(
        _moves(_MOVE_TO, f"to {name}", to, goes_on(UNKNOWN_DESTINATION).told("C-MOVE to " + words))
        for name, to, words in (
            ("unknown", b"NOBODY", "NOBODY"),
            ("self", b"TUIPACS", "TUIPACS"),
            ("self, padded", b"  TUIPACS       ", "TUIPACS"),
            ("whoever asks, who has no host", PEER.encode(), PEER),
            ("nobody", b"", ""),
            ("a path", b"../../etc/passwd", "../../etc/passwd"),
            ("ESC", b"\x1b[2J\x1b]0;evil\x07", "\u241b[2J"),
            ("beyond ASCII", b"\xff\xfe\x9b31m", "\u00ff\u00fe"),
            ("SQL", b"' OR 1=1; --", "' OR 1=1; --"),
            ("two", b"NOBODY\\MIRROR", "NOBODY\\MIRROR"),
            ("a title of 60,000 letters", b"A" * 60_000, "A" * 39),
        )
    ),
    _moves(_MOVE_TO, "to nobody at home", AWAY.encode(), goes_on(NONE_SENT)),
    _moves(_MOVE_TO, "to who never answers", SILENT.encode(), goes_on(NONE_SENT)),
    _moves(_MOVE_TO, "in a loop that cannot be seen", MIRROR.encode(), goes_on(NONE_SENT)),
    Attack(
        _MOVE_TO,
        "twice at once",
        _twice(_move(AWAY.encode())),
        goes_on(NONE_SENT, NONE_SENT),
        True,
        _context(MOVE),
    ),
    Attack(
        _MOVE_TO,
        "and gone while it is carried out",
        _vanishes(_move(SILENT.encode())),
        End(last="gone", state=ABORTED, words="the connection was lost"),
        True,
        _context(MOVE),
    ),
    _gets(_NO_ROLE, "request", goes_on(NONE_SENT), user=b""),
    _gets(_NO_ROLE, "for another class", goes_on(NONE_SENT), user=role_item(MR, 0, 1)),
    _gets(_NO_ROLE, "neither role", goes_on(NONE_SENT), user=role_item(CT, 1, 0)),
    *(
        _gets(_NO_ROLE, f"answered by {name}", end, _says(answer))
        for name, end, answer in (
            (
                "another message ID",
                aborted("the answer to another message"),
                lambda store: _response(store, message=us(999)),
            ),
            (
                "another SOP instance",
                aborted("the answer for another SOP instance"),
                lambda store: _response(store, instance=b"1.9"),
            ),
            (
                "a pending status",
                aborted("a pending status where there is one answer"),
                lambda store: _response(store, us(0xFF00)),
            ),
            (
                "a status of four bytes",
                aborted("an answer without a status"),
                lambda store: _response(store, bytes(4)),
            ),
            (
                "a dataset without end",
                aborted("an answer to a C-STORE with a dataset"),
                lambda store: _response(store, dataset=True) + p_data(3, 0, bytes(8192)),
            ),
            (
                "a request",
                aborted("another message (0x0030) in the middle of its C-GET", UNEXPECTED),
                lambda _: p_data(1, 3, command(0x0030, VERIFICATION, dataset=False)),
            ),
            (
                "a release",
                aborted("in the middle of its C-GET", UNEXPECTED),
                lambda _: pdu(5, bytes(4)),
            ),
        )
    ),
    _gets(
        _NO_ROLE,
        "and gone while it is carried out",
        End(last="gone", state=ABORTED, words="the connection was lost"),
        _vanishes(_get()),
    ),
    *(
        attack
        for name, identifier, status in (
            ("without an identifier", None, DOES_NOT_MATCH_CLASS),
            ("with an empty identifier", b"", CANNOT_UNDERSTAND),
            ("with noise", bytes(range(256)) * 20, CANNOT_UNDERSTAND),
            ("cut off inside a key", EVERYTHING[:-3], CANNOT_UNDERSTAND),
            ("with a level unheard of", _level(b"../etc"), DOES_NOT_MATCH_CLASS),
            ("with two levels", _level(b"STUDY\\SERIES"), DOES_NOT_MATCH_CLASS),
            ("without a unique key", _level(b"STUDY "), DOES_NOT_MATCH_CLASS),
            ("with 5,000 nested sequences", EVERYTHING + hostile.nested(5000), CANNOT_UNDERSTAND),
            ("with 60,000 keys", EVERYTHING + hostile.many_elements(60_000), CANNOT_UNDERSTAND),
            ("with an identifier of 2 MiB", bytes(2 << 20), OUT_OF_RESOURCES),
        )
        for attack in (
            _moves(BEYOND, f"C-MOVE {name}", AWAY.encode(), goes_on(status), identifier),
            _gets(BEYOND, f"C-GET {name}", goes_on(status), identifier=identifier),
        )
    ),
    _commits(
        _COMMITMENT,
        "by a node that could not be told",
        goes_on(PROCESSING_FAILURE).told("storage commitment for 1 object"),
        _action(_list(1)),
        PEER,
    ),
    _commits(
        _COMMITMENT,
        "in more bytes than are taken",
        goes_on(RESOURCE_LIMITATION),
        _long(lambda: bytes(MAX_DATASET + 2), _action),
    ),
    _commits(
        _COMMITMENT,
        "whose report nobody hears",
        goes_on(DONE).told("storage commitment for 1000 objects"),
        _action(_list(1000, "1.2.5")),
    ),
    *(
        _commits(BEYOND, f"N-ACTION {name}", goes_on(status), sends)
        for name, status, sends in (
            ("of another type", NO_SUCH_ACTION, _action(_list(1), kind=2)),
            ("on another instance", NO_SUCH_INSTANCE, _action(_list(1), instance="1.2.3")),
            ("that names no object", INVALID_ARGUMENT, _action(_list(0))),
            *((n, INVALID_ARGUMENT, _action(data)) for n, data in _REFUSED_DATASETS),
        )
    ),
    *(
        _commits(BEYOND, f"N-EVENT-REPORT {name}", goes_on(status), sends, user=REPORTS)
        for name, status, sends in (
            ("of another type", NO_SUCH_EVENT, _event(_list(1), kind=3)),
            ("on another instance", NO_SUCH_INSTANCE, _event(_list(1), instance="1.2.3")),
            ("on what nobody asked", INVALID_ARGUMENT, _event(_list(1, "1.2.3.4"))),
            (
                "in too many bytes",
                RESOURCE_LIMITATION,
                _long(lambda: bytes(MAX_DATASET + 2), _event),
            ),
            *((n, INVALID_ARGUMENT, _event(data)) for n, data in _REFUSED_DATASETS),
        )
    ),
    _may_not(PEER.encode(), COMMITMENT, _KNOWN, REPORTS, "a node that is asked for none"),
    _commits(
        BEYOND,
        "N-EVENT-REPORT by a node that is asked for none",
        goes_on(CLASS_NOT_SUPPORTED),
        _event(_list(1)),
        PEER,
    ),
    _commits(
        BEYOND,
        "N-EVENT-REPORT-RSP out of the blue",
        aborted("an answer to nothing"),
        lambda peer: peer.request(
            5, element(0x0100, us(0x8100)) + element(0x0120, us(1)) + element(0x0800, us(0x0101))
        ),
    ),
    *(
        _extended(data, MOVE, name, _IMPOSSIBLE)
        for name, data in (
            ("nothing", b""),
            ("one byte", b"\0"),
            ("no UID", b"\0\0\1"),
            ("a UID past the end", b"\xff\xff1.2"),
            ("a UID cut off", _information(MOVE, b"")[:-1]),
        )
    ),
    *(
        _extended(
            _information(uid, data), uid, f"{len(data)} bytes for {words}", accepted({1: 0, 5: 0})
        )
        for uid, words in ((MOVE, "C-MOVE"), (GET, "C-GET"), (COMMITMENT, "commitment"))
        for data in (b"", b"\xff" * 3, b"\1" * 60_000)
    ),
)
LONG = (
    _commits(_COMMITMENT, "reported where it was asked", goes_on(), _hears_of_all, HERE),
    _commits(
        _COMMITMENT,
        "and one more",
        goes_on(RESOURCE_LIMITATION),
        _long(lambda: _list(MAX_REFERENCES + 1), _action),
    ),
)
"""Each works the archive for seconds."""

ATTACKS = (*SHORT, *LONG)
