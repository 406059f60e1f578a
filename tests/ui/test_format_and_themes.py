"""Values as people read them, and theme files with their mistakes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.color import Color

from tests.ui.driving import THEMES, at_work, program, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.errors import ConfigError
from tuipacs.ui import format as f
from tuipacs.ui.theme_files import DEFAULT_THEME, read_theme


@given(st.text(alphabet=st.sampled_from("ab山田é ")), st.integers(0, 30))
def test_a_fitted_text_takes_exactly_its_cells(text: str, width: int) -> None:
    assert cell_len(f.fit(text, width)) == width
    assert cell_len(f.fit(text, width, "right")) == width


def test_a_text_that_is_cut_says_so() -> None:
    assert f.fit("CHEST W/O CONTRAST", 8) == "CHEST W…"
    assert f.fit("山田太郎", 5) == "山田…"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("DOE^JOHN^^^", "DOE^JOHN"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^太郎 (Yamada^Tarou)"),
        ("=山田^太郎", "山田^太郎"),
        ("==やまだ", "やまだ"),
        ("^^^", ""),
        ("", ""),
    ],
)
def test_person_names_keep_their_carets_and_show_the_ideographic_group(
    stored: str, shown: str
) -> None:
    assert f.person_name(stored) == shown


def test_dates_and_times_that_are_none_stay_as_they_are() -> None:
    assert f.date("20261127") == "2026-11-27"
    assert f.date("2026-11") == "2026-11"
    assert f.time("091455.123") == "09:14"
    assert f.time("?") == "?"
    assert f.age("19800229", "20260228") == "45 y"
    assert f.age("19800229", "x") == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (161_000_000, "161 MB"), (10**15, "1.0 PB")],
)
def test_sizes_have_three_digits_at_most(count: int, shown: str) -> None:
    assert f.size(count) == shown


def test_durations_name_their_two_largest_units() -> None:
    assert [f.duration(s) for s in (None, 5, 125, 7260, 90061)] == [
        "-",
        "5 s",
        "2 m 05 s",
        "2 h 01 m",
        "1 d 01 h",
    ]


@pytest.mark.parametrize("path", sorted(THEMES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_themes_are_valid_and_readable(path: Path) -> None:
    """Text on each row background has a contrast of at least 4.5 to 1 (WCAG AA)."""
    theme = read_theme(path)
    text = Color.parse(theme.variables["row-name"])
    for name in ("row-cursor", "row-cursor-away", "row-glow"):
        assert contrast(text, Color.parse(theme.variables[name])) >= 4.5, name
    assert theme.background is not None
    for color in (theme.variables["text-muted"], theme.accent, theme.error, theme.success):
        assert color is not None
        assert contrast(Color.parse(color), Color.parse(theme.background)) >= 4.5, color


def contrast(one: Color, other: Color) -> float:
    """The WCAG contrast ratio."""
    values = []
    for color in (one, other):
        parts = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in color.normalized
        ]
        values.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    high, low = max(values), min(values)
    return (high + 0.05) / (low + 0.05)


def test_at_least_four_themes_ship_one_light_and_one_of_high_contrast() -> None:
    themes = {theme.name: theme for theme in map(read_theme, THEMES.glob("*.toml"))}
    assert len(themes) >= 4
    assert not themes["daylight"].dark
    assert {"high-contrast", DEFAULT_THEME} <= set(themes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "bad.toml"),
        ('[colors]\nprimry = "#fff"', "did you mean primary"),
        ('[colors]\nprimary = "no"\nbackground = "#000"\nforeground = "#fff"', "is no color"),
        ('[colors]\nprimary = "#fff"', "lacks background, foreground"),
        ('dark = "yes"\n[colors]\nprimary = "#fff"', "dark is true or false"),
        ("[colours]\n", "did you mean colors"),
        ('[variables]\nrow-cursr = "#fff"', "did you mean row-cursor"),
    ],
)
def test_a_wrong_theme_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_theme(path)


async def test_a_theme_changes_on_screen_while_its_file_is_edited(tmp_path: Path) -> None:
    source = (THEMES / "reading-room.toml").read_text()
    path = tmp_path / "reading-room.toml"
    path.write_text(source)
    archive = FakeArchive(3)
    async with at_work(archive, app=program(archive, themes=tmp_path)) as (app, pilot):
        table = app.screen.table  # type: ignore[attr-defined]
        before = table.styles.background
        path.write_text(source.replace("#0c0f13", "#201010"))
        os.utime(path, (1, 1))
        app.looks.reload_if_changed()
        await until(pilot, lambda: table.styles.background.r > before.r + 10)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("1.2.840.10008.1.2 it", 8, ["1.2.840.", "10008.1.", "2 it"]),
        ("山田太郎 様", 5, ["山田", "太郎", "様"]),
        ("anything", 0, ["anything"]),
    ],
)
def test_words_go_on_in_the_next_line_and_none_is_lost(
    text: str, width: int, lines: list[str]
) -> None:
    assert f.wrap(text, width) == lines
