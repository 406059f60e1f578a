"""Bytes that had a digest before are known again, and no others are taken for them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from tuipacs.services.digests import Digests


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def fits(digests: Digests, data: bytes, digest: bytes) -> bool:
    return digests.fits(memoryview(data), digest)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_fit_their_own_digest_only_before_and_after_it_is_known(
    data: bytes, other: bytes
) -> None:
    digests = Digests()
    for _ in range(3):
        assert fits(digests, data, sha256(data))
        assert fits(digests, other, sha256(data)) == (other == data)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_bit_that_turns_is_found_in_known_bytes(data: bytes, draw: st.DataObject) -> None:
    digests = Digests()
    assert fits(digests, data, sha256(data))
    at = draw.draw(st.integers(0, len(data) - 1))
    turned = bytearray(data)
    turned[at] ^= 1 << draw.draw(st.integers(0, 7))
    assert not fits(digests, bytes(turned), sha256(data))
    assert not fits(digests, data + b"\0", sha256(data))
    assert not fits(digests, data[:-1], sha256(data))
    assert fits(digests, data, sha256(data))


def test_a_digest_is_known_once_bytes_have_fit_it() -> None:
    digests = Digests()
    assert not digests.knows(sha256(b"one"))
    assert not fits(digests, b"two", sha256(b"one"))
    assert not digests.knows(sha256(b"one"))
    assert fits(digests, b"one", sha256(b"one"))
    assert digests.knows(sha256(b"one"))


def test_what_was_longest_not_used_is_forgotten_and_found_out_again() -> None:
    digests = Digests(most=2)
    for data in (b"a", b"b", b"a", b"c"):
        assert fits(digests, data, sha256(data))
    assert [digests.knows(sha256(data)) for data in (b"a", b"b", b"c")] == [True, False, True]
    assert fits(digests, b"b", sha256(b"b"))


def test_threads_share_it() -> None:
    digests = Digests(most=5)
    datasets = [bytes([number]) * 1000 for number in range(10)]

    def work(number: int) -> bool:
        data = datasets[number % 10]
        other = datasets[(number + 1) % 10]
        return fits(digests, data, sha256(data)) and not fits(digests, other, sha256(data))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(2000)))
