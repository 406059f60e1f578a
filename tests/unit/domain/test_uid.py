"""UIDs: strict where we make them, lenient where we receive them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.config import IGNORE
from pydicom.uid import UID

from tuipacs.domain.uid import is_usable_uid, is_valid_uid, new_uid, strip_uid


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "0.0", "2.25.0", "1" * 64, "1"])
def test_what_the_standard_allows_is_valid_and_usable(uid: str) -> None:
    assert is_valid_uid(uid)
    assert is_usable_uid(uid)


@pytest.mark.parametrize(
    "uid", ["1.02.3", "00.1", "1..2", "1.2.", "1.2a", "A-1_2", "1.2\0", "1.2 "]
)
def test_what_careless_senders_make_is_usable_but_not_valid(uid: str) -> None:
    assert not is_valid_uid(uid)
    assert is_usable_uid(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        "\0",
        " ",
        ".1",
        "1.2\\1.3",
        "../../etc",
        "1.2/3",
        "1.*",
        "1.?",
        "1 2",
        "1.2\x1b",
        "1.2\n",
        "1" * 65,
        "١.٢",
        "1.2'",
        "-1",
        "\0" + "1.2",
    ],
)
def test_what_could_not_be_matched_or_sent_again_is_unusable(uid: str) -> None:
    assert not is_valid_uid(uid)
    assert not is_usable_uid(uid)


def test_trailing_padding_of_a_uid_is_stripped() -> None:
    assert strip_uid("1.2.3\0") == "1.2.3"
    assert strip_uid("1.2.3 \0 ") == "1.2.3"


def test_a_new_uid_is_valid_and_never_the_same() -> None:
    uids = {new_uid() for _ in range(200)}
    assert len(uids) == 200
    assert all(is_valid_uid(uid) and uid.startswith("2.25.") for uid in uids)


@given(st.text(alphabet="0123.", max_size=70))
def test_validity_agrees_with_pydicom(text: str) -> None:
    assert is_valid_uid(text) == bool(text and UID(text, IGNORE).is_valid)
