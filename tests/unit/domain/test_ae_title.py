"""AE titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.ae_title import ae_title_fault, check_ae_title
from tuipacs.errors import UsageError


@pytest.mark.parametrize("title", ["A", "TUIPACS", "WITH SPACE", "a-b_c.d/e", "1234567890123456"])
def test_titles_of_the_default_repertoire_are_valid(title: str) -> None:
    assert check_ae_title(f"  {title} \0") == title


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("12345678901234567", "longer"),
        ("A\\B", "backslash"),
        ("A\nB", "printable"),
        ("\x1b[2J", "printable"),
        ("Ä", "printable"),
        ("\u202eX", "printable"),
    ],
)
def test_the_error_says_what_is_wrong(title: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_ae_title(title)


@given(st.text(max_size=20))
def test_what_passes_once_passes_again_unchanged(text: str) -> None:
    if not ae_title_fault(text):
        title = check_ae_title(text)
        assert check_ae_title(title) == title
        assert 1 <= len(title) <= 16
