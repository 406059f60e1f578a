"""What reaches a terminal or a log can only draw itself."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tuipacs.domain.safe_text import ELLIPSIS, MAX_MARKS, REPLACEMENT, cells, clean, clean_lines

any_text = st.text(alphabet=st.characters(exclude_categories=()))
hostile_text = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "\x00\x1b\x07\x7f\x85\x9b\x9d\u200d\u202e\u2066\u2028\ufeff\u0301\ufe0f\u3000ñ"
        ),
        st.characters(exclude_categories=()),
    )
)


def test_plain_ascii_comes_back_as_it_is() -> None:
    assert clean("Doe^Jane [red] \\ %") == "Doe^Jane [red] \\ %"


def test_letters_of_other_scripts_come_back_as_they_are() -> None:
    for name in ("Müller^Jörg", "山田^太郎", "김^희중", "Люкceмбypг", "قباني^لنزار", "שרון^דבורה"):
        assert clean(name) == name


def test_every_control_character_is_replaced_by_something_visible() -> None:
    assert clean("".join(map(chr, range(0x20)))) == "".join(map(chr, range(0x2400, 0x2420)))
    assert clean("\x7f") == "\u2421"
    assert clean("".join(map(chr, range(0x80, 0xA0)))) == REPLACEMENT * 32


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b[2J\x1b[H",
        "\x9b31m",
        "\x9d0;title\x9c",
        "\x1bP0;1q\x1b\\",
        "a\rb",
        "a\x08\x08b",
    ],
)
def test_escape_sequences_lose_their_power(attack: str) -> None:
    shown = clean(attack)
    assert len(shown) == len(attack)
    assert shown.isprintable()


def test_direction_controls_are_made_visible() -> None:
    codes = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
    assert clean("".join(map(chr, codes))) == REPLACEMENT * len(codes)


@pytest.mark.parametrize(
    "code",
    [
        0x00AD,
        0x034F,
        0x115F,
        0x180E,
        0x200B,
        0x200C,
        0x200D,
        0x2028,
        0x2029,
        0x2060,
        0x2800,
        0x3164,
        0xD800,
        0xDFFF,
        0xE000,
        0xFDD0,
        0xFE0F,
        0xFEFF,
        0xFFF9,
        0xFFFE,
        0xE0041,
        0xE0100,
        0x10FFFF,
    ],
)
def test_what_nobody_could_see_leaves_a_mark(code: int) -> None:
    assert clean(f"12{chr(code)}3") == f"12{REPLACEMENT}3"


def test_unusual_spaces_become_ordinary_ones_but_the_ideographic_space_stays() -> None:
    assert clean("a\u00a0b\u2003c\u3000d") == "a b c\u3000d"


def test_a_tower_of_marks_is_cut() -> None:
    assert clean("e" + "\u0301" * 50 + "x") == "e" + "\u0301" * MAX_MARKS + REPLACEMENT + "x"


def test_joiners_cannot_hide_a_tower_of_marks() -> None:
    shown = clean("e" + ("\u0301\u200d" * 20))
    assert "\u200d" not in shown
    assert shown.count(REPLACEMENT) == 20


def test_a_mark_at_the_start_does_not_sit_on_the_neighbouring_cell() -> None:
    assert clean("\u0301a") == "\u25cc\u0301a"


def test_a_long_text_ends_with_an_ellipsis() -> None:
    assert clean("Doe^Jane", limit=5) == "Doe^" + ELLIPSIS
    assert clean("Doe^Jane", limit=8) == "Doe^Jane"
    assert clean("山田太郎", limit=5) == "山田" + ELLIPSIS
    assert clean("山田太郎", limit=4) == "山" + ELLIPSIS
    assert clean("abc", limit=1) == ELLIPSIS
    assert clean("abc", limit=0) == ""


def test_a_letter_is_cut_together_with_its_marks() -> None:
    assert clean("abe\u0301f", limit=4) == "ab" + ELLIPSIS


def test_lines_are_kept_where_lines_are_wanted() -> None:
    assert clean_lines("a\r\nb\rc\n\td\x0ce\u2028f\x85g\x1b") == "a\nb\nc\n    d\u240ce\nf\ng\u241b"


def test_one_line_stays_one_line() -> None:
    assert clean("a\nb\tc") == "a\u240ab\u2409c"


@given(hostile_text)
def test_nothing_but_drawable_characters_comes_out(text: str) -> None:
    marks = 0
    for character in clean(text):
        category = unicodedata.category(character)
        assert category[0] != "C"
        assert category not in ("Zl", "Zp")
        marks = marks + 1 if category[0] == "M" else 0
        assert marks <= MAX_MARKS


@given(hostile_text, st.none() | st.integers(0, 20))
def test_cleaning_twice_changes_nothing(text: str, limit: int | None) -> None:
    once = clean(text, limit=limit)
    assert clean(once, limit=limit) == once


@given(any_text, st.integers(0, 20))
def test_the_limit_holds_in_cells_and_in_characters(text: str, limit: int) -> None:
    shown = clean(text, limit=limit)
    assert len(shown) <= limit
    assert cells(shown) <= limit
    assert cell_len(shown) <= limit


@given(hostile_text)
def test_lines_are_clean_too(text: str) -> None:
    once = clean_lines(text)
    assert clean_lines(once) == once
    assert all(clean(line) == line for line in once.split("\n"))
