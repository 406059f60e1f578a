"""What a password may cost: one Argon2id, whatever is sent in its place."""

from __future__ import annotations

import unicodedata

from tuipacs.domain.passwords import MAXIMUM_LENGTH
from tuipacs.services.password_hash import PasswordHasher


class Watched(str):
    """A text that knows whether it was encoded as a whole."""

    encoded = False

    def encode(self, *arguments: str) -> bytes:
        self.encoded = True
        return super().encode(*arguments)


def test_a_password_longer_than_any_is_wrong_without_being_read() -> None:
    """Normalizing a megabyte of combining marks takes minutes and holds up every thread."""
    hasher = PasswordHasher(memory_kib=8, iterations=1)
    longest = "\u00e9" * MAXIMUM_LENGTH
    too_long = Watched("a" * (MAXIMUM_LENGTH + 1))  # normalized already, so kept as it is
    assert unicodedata.normalize("NFC", too_long) == too_long
    assert hasher.matches(longest, hasher.hash(longest))
    assert not hasher.matches(too_long, hasher.hash(str(too_long)))
    assert not too_long.encoded
    assert not hasher.matches(too_long, None)


def test_an_unknown_account_costs_what_a_known_one_costs() -> None:
    """The hash that stands in has the figures of a real one, and its lengths of salt and hash."""
    hasher = PasswordHasher(memory_kib=8, iterations=2)
    *figures, salt, digest = hasher.hash("x").split("$")
    assert [*figures, len(salt), len(digest)] == [
        *hasher._decoy.split("$")[:-2],
        *map(len, hasher._decoy.split("$")[-2:]),
    ]
