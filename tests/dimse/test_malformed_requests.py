"""Association requests that are small for the network and large for who reads them."""

from __future__ import annotations

import pytest

from tests.dimse.raw_peer import EXPLICIT, IMPLICIT, VERIFICATION, associate_rq, context_item, item
from tuipacs.dimse.acceptor.pdus import parse_associate_request
from tuipacs.dimse.faults import PduError

SYNTAXES = [f"1.2.840.10008.1.2.4.{number}" for number in range(200)]
EMPTY = bytes(4)  # the header of an item without contents, after its type


def parse(data: bytes) -> object:
    return parse_associate_request(memoryview(data)[6:])


def full(number: int) -> bytes:
    syntaxes = (b"\x40" + EMPTY[1:]) * 16_000
    return item(0x20, bytes((number, 0, 0, 0)) + item(0x30, VERIFICATION.encode()) + syntaxes)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (associate_rq([], items=b"".join(full(n) for n in range(1, 14, 2))), "empty"),
        (associate_rq([(1, VERIFICATION, SYNTAXES[:101])]), "more than 100 transfer syntaxes"),
        (associate_rq([(1, VERIFICATION, [EXPLICIT, ""])]), "an empty transfer syntax"),
        (associate_rq([(1, VERIFICATION, ["\0"])]), "an empty transfer syntax"),
        (associate_rq([(1, "", [IMPLICIT])]), "an empty abstract syntax"),
        (associate_rq(items=item(0x77, b"") * 10_001), "more than 10000 items"),
        (associate_rq(user=item(0x56, b"") * 1001), "more than 1000 items of user information"),
        (
            associate_rq(items=item(0x50, item(0x56, b"") * 600) * 2),
            "more than 1000 items of user information",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "request",
)
def test_a_request_of_far_too_many_items_is_malformed(request_: bytes, words: str) -> None:
    with pytest.raises(PduError, match=words):
        parse(request_)


def test_items_are_counted_over_all_contexts() -> None:
    strange = item(0x77, b"") * 1000
    contexts = b"".join(
        item(0x20, bytes((n, 0, 0, 0)) + item(0x30, VERIFICATION.encode()) + strange)
        for n in range(1, 22, 2)
    )
    with pytest.raises(PduError, match="more than 10000 items"):
        parse(associate_rq([], items=contexts))


def test_the_largest_request_that_means_something_is_read() -> None:
    """128 contexts with all syntaxes that there are, and a role for each."""
    items = b"".join(context_item(n, f"1.2.{n}", SYNTAXES[:60]) for n in range(1, 256, 2))
    request = parse_associate_request(memoryview(associate_rq([], items=items))[6:])
    assert len(request.contexts) == 128
    assert {len(context.transfer_syntaxes) for context in request.contexts} == {60}
