"""Our requestor against an acceptor that misbehaves: a clear word each time, and never a wait."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.dimse.hostile_acceptor import IMPATIENT, QUICK, Call, accept, playing, response
from tests.dimse.raw_peer import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    command,
    element,
    item,
    p_data,
    pdu,
    us,
)
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_store import StoreOutcome, store_objects
from tuipacs.scu.requestor import Context, Peer, open_association
from tuipacs.scu.sources import SourceObject

ABORTED_BY_PROVIDER = 2


def _failure(peer: Peer) -> AssociationFailedError:
    with pytest.raises(AssociationFailedError) as caught:
        echo(peer)
    return caught.value


def _source(data: bytes, uid: str = "1.2.3") -> SourceObject:
    return SourceObject(CT, uid, EXPLICIT, 0, lambda: io.BytesIO(data))


def _store(peer: Peer, *data: bytes) -> list[StoreOutcome]:
    return list(store_objects(peer, [_source(d) for d in data], [Context(CT, EXPLICIT)]))


# -- before there is an association


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "::1%nothing"])
def test_a_host_name_without_an_address_is_told_as_such(host: str) -> None:
    error = _failure(Peer(host, 104, "STORE", "TUIPACS"))
    assert error.failure is Failure.NAME
    assert "has a host name without an address" in error.message


def test_nobody_listening_is_a_refused_connection() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = _failure(Peer("127.0.0.1", closed.getsockname()[1], "STORE", "TUIPACS"))
    assert error.failure is Failure.CONNECTION
    assert "refused the connection" in error.message


def test_a_host_that_does_not_answer_ends_the_wait() -> None:
    """A full queue of connections drops new ones, as a dead host does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        error = _failure(Peer(address[0], address[1], "STORE", "TUIPACS", settings=IMPATIENT))
        for sock in waiting:
            sock.close()
    assert error.failure is Failure.CONNECTION
    assert "did not answer the connection within 0.3 s" in error.message


@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        (pdu(3, b"\0\1\1\3"), Failure.REJECTED, "permanently: calling AE title not recognised"),
        (pdu(3, b"\0\2\3\2"), Failure.BUSY, "for now: local limit exceeded"),
        (pdu(3, b"\0\1\1\x63"), Failure.REJECTED, "(result 1, source 1, reason 99)"),
        (pdu(3, b"\0"), Failure.REJECTED, "without a reason"),
        (pdu(7, b"\0\0\0\0"), Failure.ABORTED, "aborted the association (service user)"),
        (pdu(7, b"\0\0\2\6"), Failure.ABORTED, "invalid PDU parameter value"),
        (b"", Failure.LOST, "closed the connection"),
    ],
)
def test_a_refusal_is_told_in_words(answer: bytes, failure: Failure, words: str) -> None:
    def play(call: Call) -> None:
        call.request()
        call.send(answer)

    with playing(play) as acceptor:
        error = _failure(acceptor.peer())
    assert error.failure is failure
    assert words in error.message
    assert error.message.startswith(f"STORE at 127.0.0.1:{acceptor.port} ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no DICOM but HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no DICOM but SSH"),
        (b"\x15\x03\x03\0\2\2\x28", "wants TLS"),
        (pdu(0x42, b""), "unknown type 0x42"),
        (p_data(1, 3, b""), "an unexpected P_DATA PDU"),
        (b"\2\0\xff\xff\xff\xff", "an answer of 4294967295 bytes"),
        (pdu(2, bytes(67)), "shorter than its fixed fields"),
        (accept({1: (0, EXPLICIT)}), "a transfer syntax that was not proposed"),
        (accept({3: (0, IMPLICIT)}), "a presentation context that was not proposed"),
        (accept({1: (0, IMPLICIT)}, max_length=7), "leaves no room for data"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_aborted(answer: bytes, words: str) -> None:
    seen = []

    def play(call: Call) -> None:
        call.request()
        call.send(answer)
        seen.append(call.abort_seen()[0])

    with playing(play) as acceptor:
        error = _failure(acceptor.peer())
    assert error.failure is Failure.PROTOCOL
    assert words in error.message
    assert seen == [ABORTED_BY_PROVIDER]


def test_silence_instead_of_an_answer_ends_with_an_abort() -> None:
    def play(call: Call) -> None:
        call.request()
        call.send(b"\2\0\0")
        call.abort_seen()

    with playing(play) as acceptor:
        error = _failure(acceptor.peer(IMPATIENT))
    assert error.failure is Failure.TIMEOUT
    assert "did not answer the association request within 0.3 s" in error.message


def test_a_peer_that_takes_no_context_says_why() -> None:
    def play(call: Call) -> None:
        call.request()
        call.send(accept({1: (3, "")}))
        call.read()

    with playing(play) as acceptor:
        error = _failure(acceptor.peer())
    assert error.failure is Failure.NO_CONTEXT
    assert "Verification SOP Class: SOP class not supported" in error.message


# -- answers


def _answered(change: Callable[[Call, int, dict[int, bytes]], bytes]) -> tuple[str, list[int]]:
    """Store one object with an acceptor that answers so; what we said, and what it saw."""
    seen: list[int] = []

    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        call.send(change(call, context, asked))
        seen.append(call.abort_seen()[0])

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(), bytes(100))
    assert outcome.status is None
    assert not outcome.stored
    return outcome.comment, seen


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _, n, c: p_data(n, 3, response(c, 0, message_id=77)), "answer to another message"),
        (lambda _, n, c: p_data(n, 3, response(c, 0, field=0x8030)), "another answer (0x8030)"),
        (lambda _, n, c: p_data(n, 3, response(c, 0, instance="9.9")), "another SOP instance"),
        (lambda _, n, c: p_data(n, 3, response(c, -1)), "an answer without a status"),
        (lambda _, n, c: p_data(n, 3, response(c, 0xFF00)), "a pending status (0xFF00)"),
        (lambda _, n, c: p_data(n, 3, response(c, 0)[:-1]), "longer than the command set"),
        (lambda _, n, c: p_data(n, 3, element(0x0100, us(0x8001))), "without message ID"),
        (lambda _, n, c: p_data(n, 3, command(0x0030, CT, dataset=False)), "without the role"),
        (lambda _, n, c: p_data(5, 3, response(c, 0)), "context that was not accepted"),
        (lambda _, n, c: p_data(n, 2, response(c, 0)), "a dataset that no command announced"),
        (lambda _, n, c: pdu(0x09, b""), "unknown type 0x09"),
        (lambda _, n, c: pdu(1, bytes(80)), "an unexpected ASSOCIATE_RQ PDU"),
        (lambda _, n, c: b"\4\0\xff\xff\xff\xff", "a PDU of 4294967295 bytes"),
        (lambda _, n, c: b"\4\0\0\2\0\x20", "more than was agreed"),
        (lambda _, n, c: pdu(4, b"\0\0\0\1\1"), "presentation data value"),
        (lambda _, n, c: pdu(4, b""), "presentation data value"),
    ],
)
def test_an_answer_that_is_none_aborts_and_is_told(
    change: Callable[[Call, int, dict[int, bytes]], bytes], words: str
) -> None:
    comment, seen = _answered(change)
    assert words in comment
    assert seen == [ABORTED_BY_PROVIDER]


def _answered_early(status: int) -> tuple[StoreOutcome, StoreOutcome]:
    """A peer answers when it has the command, long before the object is whole."""

    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.send(p_data(context, 3, response(asked, status)))
        with contextlib.suppress(AssertionError):  # an abort comes after the object
            call.dataset()
            call.answer()
            call.release()

    with playing(play) as acceptor:
        first, second = _store(acceptor.peer(), bytes(16 << 20), bytes(10))
    return first, second


@pytest.mark.parametrize("status", [0x0000, 0xB000])
def test_an_object_that_is_called_stored_before_it_was_sent_is_not(status: int) -> None:
    first, second = _answered_early(status)
    assert (first.status, first.stored, second.stored) == (None, False, False)
    assert "an answer before it had the whole request" in first.comment


def test_an_object_may_be_refused_before_it_was_sent() -> None:
    first, second = _answered_early(0xA700)
    assert (first.status, first.stored) == (0xA700, False)
    assert second.stored


@pytest.mark.parametrize(
    ("status", "stored"),
    [(0xB000, True), (0xB123, True), (0x0107, True), (0xA700, False), (0xC000, False), (2, False)],
)
def test_a_warning_is_stored_with_a_remark(status: int, stored: bool) -> None:
    outcome = StoreOutcome("1.2", status)
    assert outcome.stored is stored


def test_an_object_after_the_association_ended_is_told_why_it_was_not_sent() -> None:
    def play(call: Call) -> None:
        call.accept()
        call.command()
        call.dataset()
        call.send(pdu(7, b"\0\0\0\0"))

    with playing(play) as acceptor:
        first, second = _store(acceptor.peer(), bytes(10), bytes(10))
    assert "aborted the association (service user)" in first.comment
    assert second.comment == f"not sent: {first.comment}"
    assert (first.status, second.status) == (None, None)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda call: call.reset(), "closed the connection without a release"),
        (lambda call: call.socket.close(), "closed the connection without a release"),
        (lambda call: call.send(pdu(5, bytes(4))), "released the association instead of answering"),
    ],
)
def test_an_end_instead_of_an_answer_is_no_success(end: Callable[[Call], None], words: str) -> None:
    def play(call: Call) -> None:
        call.accept()
        call.command()
        call.dataset()
        end(call)

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(), bytes(10))
    assert outcome.status is None
    assert words in outcome.comment


@pytest.mark.parametrize("drip", [b"", b"\4\0\0", pdu(4, b"\0\0\0\2\1\1") * 3])
def test_a_peer_that_never_finishes_its_answer_is_left(drip: bytes) -> None:
    seen = []

    def play(call: Call) -> None:
        call.accept()
        call.command()
        call.dataset()
        call.send(drip)
        seen.append(call.abort_seen())

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(replace(QUICK, dimse_timeout=0.3)), bytes(10))
    assert "did not answer within 0.3 s" in outcome.comment
    assert seen == [(0, 0)]


def test_a_peer_that_aborts_in_the_middle_of_an_object_is_heard() -> None:
    """Its abort lies before the reset that its close causes: the reason must not be lost."""

    def play(call: Call) -> None:
        call.accept()
        call.command()
        call.send(pdu(7, b"\0\0\2\1"))

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(), bytes(64 << 20))
    assert outcome.status is None
    assert "aborted the association (service provider: unrecognized PDU)" in outcome.comment


def test_a_peer_that_stops_reading_is_left_without_a_word_inside_a_pdu() -> None:
    """An abort in the middle of a PDU would be taken for a piece of the picture."""
    gone = threading.Event()
    tails = []

    def play(call: Call) -> None:
        call.accept()
        call.command()
        gone.wait(1.0)  # less than an abort would be tried for
        tail = b""
        with contextlib.suppress(ConnectionResetError):
            while part := call.socket.recv(1 << 20):
                tail = part[-4:]
        tails.append(tail)

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(replace(QUICK, dimse_timeout=0.3)), b"\x55" * (16 << 20))
        gone.set()
    assert outcome.status is None
    assert "took no more data" in outcome.comment
    assert tails == [b"\x55" * 4]


def test_a_peer_that_aborts_and_stops_reading_is_heard() -> None:
    gone = threading.Event()

    def play(call: Call) -> None:
        call.accept()
        call.command()
        call.send(pdu(7, b"\0\0\2\1"))
        gone.wait(10)

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(replace(QUICK, dimse_timeout=0.3)), bytes(16 << 20))
        gone.set()
    assert "aborted the association (service provider: unrecognized PDU)" in outcome.comment


@pytest.mark.parametrize(("other", "counts"), [(CT, True), (VERIFICATION, False)])
def test_an_answer_on_another_context_counts_if_it_is_of_the_same_class(
    other: str, counts: bool
) -> None:
    """odil answers all of a SOP class on its first context."""

    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        call.send(p_data(4 - context, 3, response(asked, 0)))
        if counts:
            call.release()
        else:
            call.abort_seen()

    contexts = [Context(CT, EXPLICIT), Context(other, IMPLICIT)]
    with playing(play) as acceptor:
        (outcome,) = store_objects(acceptor.peer(), [_source(b"12")], contexts)
    assert outcome.stored is counts
    assert ("the answer on another presentation context" in outcome.comment) is not counts


def test_an_answer_in_many_small_pieces_is_put_together() -> None:
    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        data = response(asked, 0xB006, comment="\x1b[31mremark")
        pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
        for number, piece in enumerate(pieces, start=1):
            call.send(p_data(context, 3 if number == len(pieces) else 1, piece))
        call.release()

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(), bytes(10))
    assert outcome.stored
    assert outcome.status == 0xB006
    assert outcome.comment == "\u241b[31mremark"


def test_another_thread_can_end_a_wait() -> None:
    """A job that is cancelled must not sit out the answer to a large object."""
    asked = threading.Event()

    def play(call: Call) -> None:
        call.accept()
        call.command()
        asked.set()
        call.read()

    with (
        playing(play) as acceptor,
        open_association(acceptor.peer(), [Context(VERIFICATION, IMPLICIT)]) as association,
    ):
        other = threading.Thread(target=lambda: (asked.wait(5), association.cut()))
        other.start()
        response = association.echo()
        other.join()
    assert response.status is None
    assert association.failure is Failure.LOST


def test_who_stops_iterating_aborts() -> None:
    seen = []

    def play(call: Call) -> None:
        call.accept()
        call.answer()
        seen.append(call.abort_seen())

    with playing(play) as acceptor:
        objects = [_source(b"12"), _source(b"34")]
        outcomes = store_objects(acceptor.peer(), objects, [Context(CT, EXPLICIT)])
        assert next(iter(outcomes)).stored
        outcomes.close()  # type: ignore[attr-defined]
    assert seen == [(0, 0)]


# -- release


def test_a_release_collision_is_resolved() -> None:
    """PS3.8 9.2, states 9 and 11: the requestor answers, and waits for its own answer."""
    seen = []

    def play(call: Call) -> None:
        call.accept()
        call.answer()
        call.send(pdu(5, bytes(4)))
        seen.extend((call.read()[0], call.read()[0]))
        call.send(pdu(6, bytes(4)))
        seen.append(call.read()[0])

    with playing(play) as acceptor:
        assert echo(acceptor.peer()).status == 0
    assert seen == [5, 6, 0]


def test_what_a_peer_does_after_the_last_answer_does_not_undo_it() -> None:
    def play(call: Call) -> None:
        call.accept()
        call.answer()
        call.read()
        call.send(pdu(0x77, b"nonsense"))
        call.abort_seen()

    with playing(play) as acceptor:
        assert echo(acceptor.peer()).status == 0


def test_a_block_that_raises_aborts() -> None:
    seen = []

    def play(call: Call) -> None:
        call.accept()
        seen.append(call.abort_seen())

    with (
        playing(play) as acceptor,
        pytest.raises(ZeroDivisionError),
        open_association(acceptor.peer(), [Context(VERIFICATION, IMPLICIT)]),
    ):
        raise ZeroDivisionError
    assert seen == [(0, 0)]


# -- what is sent


@pytest.mark.parametrize("max_length", [0, 16, 17, 128, 16384, 131072, 0xFFFFFFFF])
def test_no_pdu_is_longer_than_the_peer_takes(max_length: int) -> None:
    data = bytes(range(256)) * (4 if 0 < max_length < 200 else 4096) + b"!!"
    longest, received = [0], []

    def play(call: Call) -> None:
        call.accept(max_length=max_length)
        read = call.read

        def measured() -> tuple[int, bytes]:
            kind, body = read()
            longest[0] = max(longest[0], len(body))
            return kind, body

        call.read = measured  # type: ignore[method-assign]
        whole, parts = b"", b""
        while not whole:
            _, body = call.read()
            parts += body[6:]
            whole = parts if body[5] & 2 else b""
        received.append(call.dataset())
        asked = {0x0002: CT.encode(), 0x0100: us(1), 0x0110: us(1)}
        call.send(p_data(1, 3, response(asked, 0)))
        call.release()

    with playing(play) as acceptor:
        (outcome,) = _store(acceptor.peer(), data)
    assert outcome.status == 0
    assert received == [data]
    assert longest[0] <= (max_length or 131072)


class _Shrinking(io.BytesIO):
    """Ends before the size that it told."""

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        return super().readinto(buffer) if self.tell() < 300_000 else 0


def test_an_object_that_shrinks_while_it_is_sent_is_never_completed() -> None:
    seen = []

    def play(call: Call) -> None:
        call.accept()
        call.command()
        kind = 4
        while kind == 4:
            kind, body = call.read()
            seen.append((kind, bool(kind == 4 and body[5] & 2)))

    shrinking = SourceObject(CT, "1.2", EXPLICIT, 0, lambda: _Shrinking(bytes(1_000_000)))
    with playing(play) as acceptor:
        (outcome,) = store_objects(acceptor.peer(), [shrinking], [Context(CT, EXPLICIT)])
    assert outcome.status is None
    assert "became shorter while it was read" in outcome.comment
    assert seen[-1] == (7, False)
    assert not any(is_last for _, is_last in seen)


def test_an_object_that_cannot_be_read_does_not_stop_the_others() -> None:
    def play(call: Call) -> None:
        call.accept()
        call.answer()
        call.release()

    def gone() -> io.BytesIO:
        raise FileNotFoundError(2, "No such file or directory")

    missing = SourceObject(CT, "1.2", EXPLICIT, 0, gone)
    empty = SourceObject(CT, "1.3", EXPLICIT, 5, lambda: io.BytesIO(b"12345"))
    odd = SourceObject(CT, "1.3", EXPLICIT, 2, lambda: io.BytesIO(b"12345"))
    with playing(play) as acceptor:
        outcomes = list(
            store_objects(
                acceptor.peer(), [missing, empty, odd, _source(b"12")], [Context(CT, EXPLICIT)]
            )
        )
    assert [o.status for o in outcomes] == [None, None, None, 0]
    assert outcomes[0].comment == "not sent: it cannot be opened: No such file or directory"
    assert outcomes[1].comment == "not sent: it has no dataset"
    assert "odd length" in outcomes[2].comment


class _Endless(io.RawIOBase):
    """As large as it says, without holding it; remembers how much was asked for at once."""

    def __init__(self, size: int) -> None:
        self.size, self.most = size, 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.size if whence == 2 else offset

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self.most = max(self.most, len(buffer))
        return len(buffer)


def test_an_object_is_never_whole_in_memory() -> None:
    received = []

    def play(call: Call) -> None:
        call.accept(max_length=0)
        context, asked = call.command()
        size, last = 0, 0
        while not last:
            _, body = call.read()
            size, last = size + len(body) - 6, body[5] & 2
        received.append(size)
        call.send(p_data(context, 3, response(asked, 0)))
        call.release()

    endless = _Endless(40 << 20)
    source = SourceObject(CT, "1.2", EXPLICIT, 0, lambda: endless)  # type: ignore[return-value, arg-type]
    with playing(play) as acceptor:
        (outcome,) = store_objects(acceptor.peer(), [source], [Context(CT, EXPLICIT)])
    assert outcome.stored
    assert received == [40 << 20]
    assert endless.most <= 1 << 18


def test_a_part_of_a_move_names_its_originator() -> None:
    seen = {}

    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        seen.update(asked)
        call.dataset()
        call.send(p_data(context, 3, response(asked, 0)))
        call.release()

    with playing(play) as acceptor:
        list(
            store_objects(
                acceptor.peer(),
                [_source(b"12")],
                [Context(CT, EXPLICIT)],
                move_originator=("WS", 9),
            )
        )
    assert (seen[0x1030], seen[0x1031]) == (b"WS", us(9))


def test_roles_are_proposed_and_only_those_that_the_peer_took_count() -> None:
    seen = []

    def play(call: Call) -> None:
        taken = len(CT).to_bytes(2, "big") + CT.encode() + b"\0\1"
        call.accept(user=item(0x54, taken) + item(0x5F, b"unknown") + item(0x55, b"PEER_1"))
        seen.extend(call.user[0x54])
        call.release()

    roles = {CT: (True, True), "1.2.3": (False, True)}
    with (
        playing(play) as acceptor,
        open_association(acceptor.peer(), [Context(CT, EXPLICIT)], roles=roles) as association,
    ):
        assert association.roles == {CT: (False, True), "1.2.3": (False, False)}
        assert association.version_name == "PEER_1"
    assert [value[-2:] for value in seen] == [b"\1\1", b"\0\1"]


def test_more_than_128_contexts_take_a_second_association() -> None:
    calls = []

    def play(call: Call) -> None:
        call.accept()
        calls.append(len(call.proposed))
        call.answer()
        call.release()

    contexts = [Context(f"1.2.{i}", EXPLICIT) for i in range(130)]
    objects = [
        SourceObject(f"1.2.{i}", f"1.3.{i}", EXPLICIT, 0, lambda: io.BytesIO(b"12"))
        for i in (0, 129)
    ]
    with playing(play) as acceptor:
        outcomes = list(store_objects(acceptor.peer(), objects, contexts))
    assert [o.status for o in outcomes] == [0, 0]
    assert calls == [128, 2]
