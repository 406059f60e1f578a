"""What a password must be: long, and not what anyone tries first."""

from __future__ import annotations

import pytest

from tuipacs.domain.passwords import check_password
from tuipacs.errors import UsageError


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "vierzehn plus eins",
        "äöü ÄÖÜ ñ ç ß ř",
        "x9!kQ2#mB7&pL4z",
        "山田太郎は病院の放射線科で働く人",
        "y" * 5 + "abcdefghijklmno" + "z" * 236,
    ],
)
def test_a_long_uncommon_one_will_do(password: str) -> None:
    check_password(password, "anna")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "at least 15"),
        ("fourteen chars", "at least 15"),
        ("x" * 257, "more than 256"),
        ("aaaaaaaaaaaaaaa", "same few"),
        ("abababababababab", "same few"),
        ("AaAaAaBbBbCcCcDd", "same few"),
        ("password12345678", "common words"),
        ("Passwort-2026-01", "common words"),
        ("administrator-01", "common words"),
        ("qwertyuiopasdfghjkl", "common words"),
        ("123456789012345", "common words"),
        ("tuipacs-tuipacs-1", "common words"),
        ("mariannemarianne123", "common words"),
        ("Marianne.1970.Marianne", "common words"),
    ],
)
def test_what_anyone_tries_first_is_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check_password(password, "marianne")


def test_a_short_account_name_forbids_nothing() -> None:
    check_password("vierzehn plus eins", "ei")
