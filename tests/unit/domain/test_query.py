"""The filter line: what a person types, read once into plain terms."""

from __future__ import annotations

import datetime as dt
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.query import Field, Term, fold, parse_filter
from tuipacs.errors import UsageError

TODAY = dt.date(2026, 11, 21)


def term(text: str) -> Term:
    (found,) = parse_filter(text, TODAY)
    return found


def dates(text: str) -> tuple[str, str]:
    found = term(f"date:{text}")
    assert found.field is Field.DATE
    return found.first, found.last


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", ("20261121", "20261121")),
        ("YESTERDAY", ("20261120", "20261120")),
        ("-7d", ("20261114", "")),
        ("-2w", ("20261107", "")),
        ("-1m", ("20261022", "")),
        ("-1y", ("20251121", "")),
        ("-0d", ("20261121", "")),
        ("-1500y", ("05271120", "")),
        ("-9999y", ("", "")),
        ("20261101", ("20261101", "20261101")),
        ("2026-11-01", ("20261101", "20261101")),
        ("2026.11.01", ("20261101", "20261101")),
        ("202611", ("20261100", "20261199")),
        ("2026-11", ("20261100", "20261199")),
        ("2026", ("20260000", "20269999")),
        ("20261101-20261120", ("20261101", "20261120")),
        ("2026-11-01-2026-11-20", ("20261101", "20261120")),
        ("2025-2026", ("20250000", "20269999")),
        ("20261101-", ("20261101", "")),
        ("-20261101", ("", "20261101")),
        ("-2026", ("", "20269999")),
    ],
)
def test_a_date_in_all_its_spellings(text: str, expected: tuple[str, str]) -> None:
    assert dates(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "-",
        "x",
        "2",
        "20261",
        "2026112",
        "2026112120261121",
        "1-2-3",
        "٢٠٢٦",
        "-7x",
        "2026-1-2",
        "--",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="date: takes"):
        parse_filter(f"date:{text}", TODAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("doe", Term(field=Field.ANY, value="doe")),
        ("!doe", Term(field=Field.ANY, value="doe", exclude=True)),
        ('"two words"', Term(field=Field.ANY, value="two words")),
        ('!"two words"', Term(field=Field.ANY, value="two words", exclude=True)),
        ('"not ended', Term(field=Field.ANY, value="not ended")),
        ("NAME:doe", Term(field=Field.NAME, value="doe")),
        ('desc:"left knee"', Term(field=Field.DESCRIPTION, value="left knee")),
        ("!mod:CT,MR", Term(field=Field.MODALITY, value="CT,MR", exclude=True)),
        ("st:conflict", Term(field=Field.STATE, value="conflict")),
        ("12:30", Term(field=Field.ANY, value="12:30")),
        ('"http://x"', Term(field=Field.ANY, value="http://x")),
    ],
)
def test_one_term(text: str, expected: Term) -> None:
    assert term(text) == expected


def test_several_terms_keep_their_order() -> None:
    found = parse_filter('  doe  !mod:CT\t"x y"z ', TODAY)
    assert [(t.field, t.value) for t in found] == [
        (Field.ANY, "doe"),
        (Field.MODALITY, "CT"),
        (Field.ANY, "x y"),
        (Field.ANY, "z"),
    ]


@pytest.mark.parametrize("text", ["", "   ", "mod:", "!", "name: ", 'id:""', "!date:", '"'])
def test_what_is_still_being_typed_filters_nothing(text: str) -> None:
    assert parse_filter(text, TODAY) == ()


def test_an_unknown_key_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"nam: .*name:"):
        parse_filter("nam:doe", TODAY)


def test_bounds_of_a_filter() -> None:
    assert len(parse_filter("a " * 20, TODAY)) == 20
    with pytest.raises(UsageError, match="20 terms"):
        parse_filter("a " * 21, TODAY)
    with pytest.raises(UsageError, match="500 characters"):
        parse_filter("a" * 501, TODAY)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_usage_error(text: str) -> None:
    try:
        parse_filter(text, TODAY)
    except UsageError as error:
        assert error.message


@given(st.text(max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert fold(unicodedata.normalize("NFC", text)) == once


@given(st.text(alphabet="abcäöüßéñçřščžåøабвгджλμνξσςü 12^=", max_size=30))
def test_case_makes_no_difference(text: str) -> None:
    assert fold(text.upper()) == fold(text) == fold(text.lower())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MÜLLER^Änne", "muller anne"),
        ("Yamada^Tarou=山田^太郎", "yamada tarou 山田 太郎"),
        ("STRASSE", "straße"),
        ("ℌans", "HANS"),
        ("\ufb01n", "FIN"),
        ("  a   b ", "A B"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
    ],
)
def test_what_a_person_takes_for_the_same_is_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_half_width_kana_are_found_by_full_width_ones() -> None:
    assert fold("ﾔﾏﾀﾞ^ﾀﾛｳ") == fold("ヤマダ タロウ")


@pytest.mark.parametrize(
    ("one", "other"), [("ガ", "カ"), ("ぱ", "は"), ("กุ", "กู"), ("กุ", "ก"), ("क्", "क")]
)
def test_marks_that_make_another_letter_are_kept(one: str, other: str) -> None:
    """Two patients whose names differ in them are not one (PS3.5 6.2.1 leaves scripts alone)."""
    assert fold(one) != fold(other)


def test_vowel_points_do_not_matter() -> None:
    assert fold("שָׁרוֹן") == fold("שרון")
    assert fold("مُحَمَّد") == fold("محمد")
