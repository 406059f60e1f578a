"""Degrading on purpose: each rule of the decision, without a terminal."""

from __future__ import annotations

import pytest

from tuipacs.ui.graphics.answers import TerminalAnswers
from tuipacs.ui.graphics.choice import ColourDepth, Protocol, after_resize, choose, colour_depth

UTF8 = {"TERM": "xterm-256color", "LANG": "de_DE.UTF-8"}
KITTY = TerminalAnswers(version_text="kitty(0.35.2)", attributes=(62,), kitty_graphics=True)
SIXEL = TerminalAnswers(version_text="foot(1.16.2)", attributes=(62, 4))
PLAIN = TerminalAnswers(version_text="VTE(7402)", attributes=(65, 1, 9))


@pytest.mark.parametrize(
    ("answers", "environment", "protocol"),
    [
        (PLAIN, {**UTF8, "NO_COLOR": "1"}, Protocol.OFF),
        (SIXEL, {**UTF8, "NO_COLOR": "1"}, Protocol.SIXEL),
        (PLAIN, {**UTF8, "LC_ALL": "C"}, Protocol.OFF),
        (SIXEL, {**UTF8, "LC_ALL": "C"}, Protocol.SIXEL),  # seven-bit bytes
        (KITTY, {**UTF8, "LC_ALL": "C"}, Protocol.OFF),  # placeholders are not
        (TerminalAnswers(), {**UTF8, "TERM": "xterm"}, Protocol.OFF),
        (TerminalAnswers(), UTF8, Protocol.HALF),
        (KITTY, {**UTF8, "TMUX": "x"}, Protocol.HALF),
        (PLAIN, {**UTF8, "STY": "1.pts"}, Protocol.HALF),
        (SIXEL, {**UTF8, "STY": "1.pts"}, Protocol.HALF),
        # The first number of DA1 is the terminal's class, not a feature.
        (TerminalAnswers(attributes=(4,)), UTF8, Protocol.HALF),
    ],
)
def test_the_decision(
    answers: TerminalAnswers, environment: dict[str, str], protocol: Protocol
) -> None:
    choice = choose(Protocol.AUTO, answers, environment)
    assert choice.protocol is protocol
    assert choice.reason


@pytest.mark.parametrize("requested", [p for p in Protocol if p is not Protocol.AUTO])
def test_the_user_has_the_last_word(requested: Protocol) -> None:
    choice = choose(requested, PLAIN, UTF8, is_terminal=False)
    assert choice.protocol is requested
    assert requested.value in choice.reason


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, ColourDepth.TRUECOLOUR),
        ({"TERM": "xterm-256color"}, ColourDepth.INDEXED),
        ({"TERM": "xterm"}, ColourDepth.BASIC),
        ({"TERM": "linux"}, ColourDepth.BASIC),
        ({"TERM": "dumb"}, ColourDepth.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, ColourDepth.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, ColourDepth.INDEXED),
    ],
)
def test_colour_depth(environment: dict[str, str], depth: ColourDepth) -> None:
    assert colour_depth(TerminalAnswers(), environment) is depth


def test_a_brand_known_for_truecolour_needs_no_environment_variable() -> None:
    assert colour_depth(SIXEL, {"TERM": "xterm"}) is ColourDepth.TRUECOLOUR


def test_cell_size_falls_back_step_by_step() -> None:
    window = (24, 80, 720, 432)
    by_cell = TerminalAnswers(cell_width=10, cell_height=20, window_width=800, window_height=480)
    by_window = TerminalAnswers(window_width=640, window_height=384)
    sizes = [
        choose(Protocol.HALF, answers, UTF8, window=size)
        for answers, size in (
            (by_cell, window),
            (by_window, window),
            (TerminalAnswers(), window),
            (TerminalAnswers(), (24, 80, 0, 0)),
            (TerminalAnswers(cell_width=60000, cell_height=1), (0, 0, 0, 0)),
        )
    ]
    assert [(c.cell_width, c.cell_height, c.cell_size_source) for c in sizes] == [
        (10, 20, "CSI 16 t"),
        (8, 16, "CSI 14 t"),
        (9, 18, "TIOCGWINSZ"),
        (8, 16, "assumed"),
        (8, 16, "assumed"),
    ]


def test_a_changed_font_changes_the_cell_and_a_changed_window_does_not() -> None:
    answers = TerminalAnswers(cell_width=10, cell_height=20)
    choice = choose(Protocol.SIXEL, answers, UTF8, window=(24, 80, 880, 480))  # 11 x 20: a border
    assert after_resize(choice, (30, 100, 1100, 600)) == choice
    larger = after_resize(choice, (24, 80, 1200, 720))
    assert (larger.cell_width, larger.cell_height) == (15, 30)
    assert after_resize(choice, (24, 80, 0, 0)) == choice
