"""Statuses of a C-STORE in words, and which are final; how many tries that makes is the jobs'."""

from __future__ import annotations

import pytest

from tuipacs.domain.store_status import is_final, item_words, status_words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x0000, "0x0000 success"),
        (0xA700, "0xA700 out of resources"),
        (0xA7FF, "0xA7FF out of resources"),
        (0xA900, "0xA900 data set does not match SOP class"),
        (0xB000, "0xB000 coercion of data elements"),
        (0xB0FF, "0xB0FF warning"),
        (0xC123, "0xC123 cannot understand"),
        (0x0122, "0x0122 SOP class not supported"),
        (0x1234, "0x1234 an unknown status"),
    ],
)
def test_each_status_has_its_number_and_a_meaning(status: int, words: str) -> None:
    assert status_words(status) == words


def test_the_peers_comment_comes_behind_and_is_clean() -> None:
    assert item_words(0xA700, "disk\x1b[2J full") == "0xA700 out of resources: disk␛[2J full"
    assert item_words(0x0000, "") == "0x0000 success"
    assert item_words(None, "not sent: gone\x07") == "not sent: gone␇"
    assert item_words(None, "") == ""


def test_only_what_speaks_of_the_object_is_final() -> None:
    """Every status there is: the table of docs/jobs.md."""
    final = {status for status in range(0x10000) if is_final(status)}
    assert final == {
        *range(0x0105, 0x0107), 0x0111, 0x0112, 0x0115, *range(0x0117, 0x011A),
        *range(0x0120, 0x0123), *range(0xA900, 0xAA00), *range(0xC000, 0xD000),
    }  # fmt: skip
