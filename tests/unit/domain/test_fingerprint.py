"""The SHA-256 of a certificate as people copy it."""

from __future__ import annotations

import pytest

from tuipacs.domain.fingerprint import check_fingerprint, fingerprint, short_fingerprint
from tuipacs.errors import UsageError

HASH = fingerprint(b"certificate")


@pytest.mark.parametrize(
    "text",
    [
        HASH,
        HASH.upper(),
        f" {HASH} ",
        ":".join(HASH[at : at + 2] for at in range(0, 64, 2)),
        f"sha256 Fingerprint={':'.join(HASH[at : at + 2].upper() for at in range(0, 64, 2))}",
    ],
)
def test_every_way_of_writing_it_is_the_same(text: str) -> None:
    assert check_fingerprint(text) == HASH


def test_nothing_stays_nothing() -> None:
    assert check_fingerprint("") == short_fingerprint("") == ""


@pytest.mark.parametrize("text", [HASH[:-1], HASH + "0", HASH[:-1] + "g", "a" * 40])
def test_another_length_or_letter_is_refused_with_the_command_that_prints_it(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_fingerprint(text)
    assert "tls show" in refused.value.remedy


def test_the_short_form_is_its_beginning() -> None:
    assert short_fingerprint(HASH) == f"{HASH[:12]}…"
