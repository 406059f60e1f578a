"""What is proposed for objects, which syntax one goes out in, and what its outcome says."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dimse.hostile_acceptor import Call, accept, playing, response
from tests.dimse.raw_peer import CT, EXPLICIT, IMPLICIT, p_data, read_elements
from tuipacs.dicom.transcoding.rules import FALLBACKS, TARGETS, targets_of
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.scu.c_store import StoreOutcome, store_objects
from tuipacs.scu.choosing import pick, proposals, refusal_words
from tuipacs.scu.requestor import MAX_CONTEXTS, Context
from tuipacs.scu.sources import SourceObject, opened

BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
J2K, MPEG = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.100"
MR = "1.2.840.10008.5.1.4.1.1.4"
ALL = [EXPLICIT, IMPLICIT, BIG, DEFLATED, J2K, MPEG, "1.2.3"]


def source(
    syntax: str = EXPLICIT,
    data: bytes = b"12",
    *,
    sop_class: str = CT,
    key: int = 0,
    transcode: Callable[[str], io.BytesIO] | None = lambda target: io.BytesIO(target.encode()),
    is_odd: bool = False,
) -> SourceObject:
    """An object whose transcoded form is the UID of its syntax."""

    def even(target: str) -> io.BytesIO:
        assert transcode is not None
        made = transcode(target).getvalue()
        return io.BytesIO(made + bytes(len(made) % 2))

    return SourceObject(
        sop_class,
        f"1.2.{key}",
        syntax,
        0,
        lambda: io.BytesIO(data),
        transcode=None if transcode is None else even,
        key=key,
        is_odd=is_odd,
    )


# -- choosing


@given(st.sets(st.sampled_from(ALL)), st.sampled_from(ALL), st.lists(st.sampled_from(ALL)))
def test_what_is_stored_goes_first_and_only_what_was_accepted_goes(
    accepted: set[str], stored: str, preferred: list[str]
) -> None:
    chosen = pick(source(stored), accepted, preferred)
    assert chosen in accepted or not chosen
    if stored in accepted:
        assert chosen == stored
    elif accepted & set(targets_of(stored)):
        assert chosen in targets_of(stored)
        liked = [uid for uid in preferred if uid in accepted and uid in targets_of(stored)]
        assert not liked or chosen == liked[0]
    else:
        assert not chosen


def test_explicit_vr_is_the_better_fallback() -> None:
    """It keeps the VRs of private elements."""
    assert pick(source(J2K), {IMPLICIT, EXPLICIT, BIG}) == EXPLICIT
    assert pick(source(J2K), {IMPLICIT, EXPLICIT}, [IMPLICIT]) == IMPLICIT


def test_what_cannot_be_transcoded_goes_as_it_is_or_not() -> None:
    assert pick(source(EXPLICIT, transcode=None), {IMPLICIT}) == ""
    assert pick(source(MPEG), {EXPLICIT, IMPLICIT}) == ""
    assert "a video is never decompressed" in refusal_words(source(MPEG))
    assert "no decoder" in refusal_words(source("1.2.3"))


@given(st.lists(st.sampled_from([Context(c, s) for c in (CT, MR) for s in ALL]), max_size=9))
def test_proposed_is_what_is_stored_and_the_default_where_it_can_be_made(
    stored: list[Context],
) -> None:
    """PS3.5 10.1: Implicit VR Little Endian for each abstract syntax, unless nothing is native."""
    proposed = proposals(stored)
    assert len(proposed) == len(set(proposed))
    assert set(stored) <= set(proposed)
    for extra in set(proposed) - set(stored):
        assert extra.transfer_syntax in FALLBACKS
    for kind in {context.abstract_syntax for context in stored}:
        syntaxes = {c.transfer_syntax for c in stored if c.abstract_syntax == kind}
        is_able = any(map(targets_of, syntaxes))
        assert (Context(kind, IMPLICIT) in proposed) == (is_able or IMPLICIT in syntaxes)
    classes = [context.abstract_syntax for context in proposed]
    assert [key for key, _ in itertools.groupby(classes)] == list(dict.fromkeys(classes))


def test_a_preference_that_cannot_be_written_is_not_proposed() -> None:
    proposed = proposals([Context(CT, EXPLICIT)], [J2K, DEFLATED])
    assert [c.transfer_syntax for c in proposed] == [EXPLICIT, DEFLATED, IMPLICIT]


@pytest.mark.parametrize("stored", TARGETS)
def test_each_native_syntax_can_become_each_other(stored: str) -> None:
    assert set(targets_of(stored)) == set(TARGETS) - {stored}


# -- sending


def taking(*taken: str, calls: list[dict[str, bytes]] | None = None) -> Callable[[Call], None]:
    """An acceptor of some transfer syntaxes, that answers objects until the release."""

    def play(call: Call) -> None:
        call.request()
        received: dict[str, bytes] = {}
        if calls is not None:
            calls.append(received)
        syntaxes = {number: offered[0] for number, (_, offered) in call.proposed.items()}
        answers = {n: (0 if uid in taken else 4, uid) for n, uid in syntaxes.items()}
        call.send(accept(answers))
        while True:
            kind, body = call.read()
            if kind != 4:
                if kind == 5:
                    call.send(b"\6\0" + bytes(3) + b"\4" + bytes(4))
                return
            _take(call, body, syntaxes, received)

    return play


def _take(call: Call, body: bytes, syntaxes: dict[int, str], received: dict[str, bytes]) -> None:
    length = int.from_bytes(body[:4], "big")
    context, asked = body[4], read_elements(body[6 : 4 + length])
    data = b""
    body = body[4 + length :]
    while True:
        while body:
            length = int.from_bytes(body[:4], "big")
            data += body[6 : 4 + length]
            is_last = body[5] & 2
            body = body[4 + length :]
            if is_last:
                received[syntaxes[context]] = data
                call.send(p_data(context, 3, response(asked, 0)))
                return
        kind, body = call.read()
        if kind != 4:
            return


def sent(
    objects: list[SourceObject], *taken: str, **options: object
) -> tuple[list[StoreOutcome], list[dict[str, bytes]]]:
    """Outcomes, and by association what came in which syntax."""
    calls: list[dict[str, bytes]] = []
    contexts = proposals([one.context for one in objects])
    with playing(taking(*taken, calls=calls)) as acceptor:
        outcomes = list(store_objects(acceptor.peer(), objects, contexts, **options))  # type: ignore[arg-type]
    return outcomes, calls


def test_an_accepted_object_goes_out_as_it_is_stored() -> None:
    (outcome,), (came,) = sent([source(J2K, b"abcd", key=7)], J2K, EXPLICIT, IMPLICIT)
    assert came == {J2K: b"abcd"}
    assert (outcome.stored, outcome.key, outcome.transfer_syntax_uid) == (True, 7, J2K)
    assert (outcome.transcoded, outcome.size, outcome.failure) == (False, 4, None)


def test_a_refused_syntax_is_transcoded_for_that_object_only() -> None:
    (one, two), (came,) = sent([source(J2K), source(EXPLICIT, b"ef")], EXPLICIT, IMPLICIT)
    assert (one.transcoded, one.transfer_syntax_uid) == (True, EXPLICIT)
    assert (two.transcoded, two.transfer_syntax_uid) == (False, EXPLICIT)
    assert came == {EXPLICIT: b"ef"}, "the second one came last, in the same context"
    assert one.size == len(EXPLICIT) + len(EXPLICIT) % 2


def test_a_node_gets_what_it_prefers() -> None:
    (outcome,), (came,) = sent([source(J2K)], EXPLICIT, IMPLICIT, preferred=[IMPLICIT])
    assert outcome.transfer_syntax_uid == IMPLICIT
    assert list(came) == [IMPLICIT]


def test_a_video_that_is_not_taken_is_a_failure_that_stays() -> None:
    video, plain = source(MPEG), source(EXPLICIT)
    (refused, stored), _ = sent([video, plain], EXPLICIT, IMPLICIT)
    assert stored.stored
    assert (refused.status, refused.failure) == (None, Failure.NO_CONTEXT)
    assert "transfer syntax not supported" in refused.comment
    assert "a video is never decompressed" in refused.comment


def test_an_object_that_was_not_planned_for_is_told_so() -> None:
    calls: list[dict[str, bytes]] = []
    with playing(taking(EXPLICIT, calls=calls)) as acceptor:
        (other,) = store_objects(acceptor.peer(), [source(sop_class=MR)], [Context(CT, EXPLICIT)])
    assert other.failure is Failure.NO_CONTEXT
    assert "was not proposed" in other.comment


def test_an_object_that_cannot_be_transcoded_does_not_stop_the_others() -> None:
    def broken(_target: str) -> io.BytesIO:
        raise SourceFailedError("the decoder crashed (signal 11)")

    (bad, good), calls = sent([source(J2K, transcode=broken), source(EXPLICIT)], EXPLICIT)
    assert bad.failure is Failure.SOURCE
    assert bad.comment == "not sent: the decoder crashed (signal 11)"
    assert good.stored
    assert len(calls) == 1


class _BreaksOff(io.BytesIO):
    """Half of it can be read."""

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if self.tell() >= 1 << 19:
            raise SourceFailedError("its stored file is damaged")
        return super().readinto(buffer)


def test_half_an_object_is_never_finished_and_the_rest_goes_over_a_new_association() -> None:
    bad = SourceObject(CT, "1.2.9", EXPLICIT, 0, lambda: _BreaksOff(bytes(1 << 20)), key=9)
    (first, broken, last), calls = sent(
        [source(EXPLICIT, b"ab"), bad, source(EXPLICIT, b"cd")], EXPLICIT
    )
    assert (first.stored, last.stored) == (True, True)
    assert (broken.status, broken.failure, broken.key) == (None, Failure.SOURCE, 9)
    assert "damaged" in broken.comment
    assert calls == [{EXPLICIT: b"ab"}, {EXPLICIT: b"cd"}]


def test_an_object_of_odd_length_is_sent_padded_and_says_so() -> None:
    odd = source(EXPLICIT, b"abc", is_odd=True, transcode=lambda _: io.BytesIO(b"abc "))
    (outcome,), (came,) = sent([odd], EXPLICIT)
    assert came == {EXPLICIT: b"abc "}
    assert outcome.transcoded


def test_nobody_pads_an_object_without_looking_at_its_elements() -> None:
    with pytest.raises(SourceFailedError, match="odd length"):
        opened(source(EXPLICIT, b"abc", transcode=None))


def test_a_pace_sees_every_byte_before_it_leaves() -> None:
    told: list[int] = []
    objects = [source(EXPLICIT, bytes(600_000)), source(EXPLICIT, b"ab")]
    outcomes, _ = sent(objects, EXPLICIT, pace=told.append)
    assert all(outcome.stored for outcome in outcomes)
    assert sum(told) == 600_002
    assert max(told) <= 1 << 18


class _StopError(Exception):
    pass


@pytest.mark.parametrize("when", [1, 2])
def test_what_a_pace_raises_passes_and_aborts(when: int) -> None:
    """In the first block nothing was sent of the object, in the second half of it was."""
    seen: list[int] = []

    def play(call: Call) -> None:
        call.accept()
        kind = 4
        while kind == 4:
            kind, _ = call.read()
        seen.append(kind)

    told: list[int] = []

    def pace(count: int) -> None:
        told.append(count)
        if len(told) == when:
            raise _StopError

    with playing(play) as acceptor, pytest.raises(_StopError):
        list(
            store_objects(
                acceptor.peer(),
                [source(EXPLICIT, bytes(1 << 20))],
                [Context(CT, EXPLICIT)],
                pace=pace,
            )
        )
    assert seen == [7]


def test_the_contexts_of_a_class_stay_within_one_association() -> None:
    """Else an object would miss its fallback."""
    calls: list[list[tuple[str, list[str]]]] = []

    def play(call: Call) -> None:
        call.request()
        calls.append(list(call.proposed.values()))
        answers = {
            number: (0 if syntaxes[0] == IMPLICIT else 4, syntaxes[0])
            for number, (_, syntaxes) in call.proposed.items()
        }
        call.send(accept(answers))
        call.answer()
        call.release()

    classes = [f"1.2.3.{number}" for number in range(44)]  # 3 contexts each
    objects = [source(J2K, sop_class=classes[0]), source(J2K, sop_class=classes[-1])]
    with playing(play) as acceptor:
        outcomes = list(
            store_objects(
                acceptor.peer(), objects, proposals([Context(kind, J2K) for kind in classes])
            )
        )
    assert [outcome.transfer_syntax_uid for outcome in outcomes] == [IMPLICIT, IMPLICIT]
    assert [len(call) for call in calls] == [MAX_CONTEXTS - 2, 6]


def test_a_group_of_contexts_that_is_refused_as_a_whole_does_not_stop_the_others() -> None:
    kinds = [f"1.2.3.{number}" for number in range(130)]
    stored = [Context(kind, MPEG) for kind in kinds[:128]] + [
        Context(kind, EXPLICIT) for kind in kinds[128:]
    ]
    objects = [source(MPEG, sop_class=kinds[0]), source(EXPLICIT, sop_class=kinds[-1])]
    with playing(taking(EXPLICIT)) as acceptor:
        refused, taken = store_objects(acceptor.peer(), objects, stored)
    assert (refused.failure, taken.stored) == (Failure.NO_CONTEXT, True)


def test_a_peer_that_takes_nothing_is_told_with_its_failure() -> None:
    with playing(taking()) as acceptor, pytest.raises(AssociationFailedError) as caught:
        list(store_objects(acceptor.peer(), [source()], [Context(CT, EXPLICIT)]))
    assert caught.value.failure is Failure.NO_CONTEXT
