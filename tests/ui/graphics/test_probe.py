"""The probe against a played terminal: every answer taken, no key lost, the tty as before."""

from __future__ import annotations

import os
import select
import termios
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.graphics import terminal as brands
from tests.ui.graphics.terminal import Brand, Terminal, terminal
from tuipacs.ui.graphics.answers import has_final_answer, split_answers
from tuipacs.ui.graphics.choice import Protocol
from tuipacs.ui.graphics.probe import ProbeResult, explain, probe_terminal
from tuipacs.ui.notice import Notice

ENVIRONMENT = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
KEYS = b"j\x1b[A\x1bOPq\xc3\xa4\x1b[<0;10;5M\x1b"  # j, up, F1, q, a umlaut, a click, escape


def probe(played: Terminal, *, wait: float = 5.0, **environment: str) -> ProbeResult:
    return probe_terminal(
        input_fd=played.slave,
        output_fd=played.slave,
        environment={**ENVIRONMENT, **environment},
        longest_wait=wait,
    )


def unread(played: Terminal) -> bytes:
    """What a program would read next on this terminal."""
    mode = termios.tcgetattr(played.slave)
    tty.setraw(played.slave, termios.TCSANOW)
    found = b""
    while select.select([played.slave], [], [], 0.1)[0]:
        found += os.read(played.slave, 4096)
    termios.tcsetattr(played.slave, termios.TCSANOW, mode)
    return found


@pytest.mark.parametrize(
    ("brand", "protocol", "name"),
    [
        (brands.KITTY, Protocol.KITTY, "kitty"),
        (brands.OLD_KITTY, Protocol.HALF, "kitty"),
        (brands.GHOSTTY, Protocol.KITTY, "ghostty"),
        (brands.FOOT, Protocol.SIXEL, "foot"),
        (brands.XTERM_VT340, Protocol.SIXEL, "xterm"),
        (brands.XTERM, Protocol.HALF, "xterm"),
        (brands.WEZTERM, Protocol.SIXEL, "wezterm"),
        (brands.KONSOLE, Protocol.SIXEL, "konsole"),
        (brands.GNOME_TERMINAL, Protocol.HALF, "vte"),
        (brands.WINDOWS_TERMINAL, Protocol.SIXEL, ""),
        (brands.ALACRITTY, Protocol.HALF, ""),
    ],
)
def test_each_brand_gets_the_protocol_it_draws_rightly(
    brand: Brand, protocol: Protocol, name: str
) -> None:
    with terminal(brand) as played:
        result = probe(played)
        assert result.answered
        assert (result.choice.protocol, result.choice.terminal) == (protocol, name)
        assert result.typed == unread(played) == b""


def test_sizes_and_limits_are_taken_from_the_answers() -> None:
    with terminal(brands.XTERM_VT340) as played:
        choice = probe(played).choice
    assert (choice.cell_width, choice.cell_height) == (10, 20)
    assert choice.cell_size_source == "CSI 16 t"
    assert choice.sixel_registers == 256
    assert (choice.sixel_max_width, choice.sixel_max_height) == (1000, 1000)


@pytest.mark.parametrize("brand", [brands.KITTY, brands.XTERM_VT340, brands.ALACRITTY])
def test_keys_typed_between_the_answers_come_back_in_order(brand: Brand) -> None:
    with terminal(brand) as played:
        played.typed_before_answer = KEYS
        played.typed_between_answers = b"x\x1b[B"
        result = probe(played)
        assert result.choice.terminal == (brand.xtversion.lower().split("(")[0])
        everything = result.typed + unread(played)
    assert everything.startswith(KEYS)
    assert everything.removeprefix(KEYS).replace(b"x\x1b[B", b"") == b""


def test_keys_typed_before_the_program_started_are_not_flushed() -> None:
    with terminal(brands.FOOT) as played:
        played.type(b"early")
        select.select([], [], [], 0.1)
        result = probe(played)
        assert result.typed + unread(played) == b"early"


def test_a_slow_line_is_waited_for() -> None:
    with terminal(Brand("foot(1.16.2)", "62;4", delay=0.4)) as played:
        result = probe(played)
    assert result.choice.protocol is Protocol.SIXEL


def test_a_silent_terminal_gets_half_blocks_and_keeps_its_keys() -> None:
    with terminal(brands.SILENT) as played:
        played.type(b"jk\x1b")
        result = probe(played, wait=0.2)
        assert not result.answered
        assert result.choice.protocol is Protocol.HALF
        assert result.typed + unread(played) == b"jk\x1b"


def test_a_person_is_told_what_a_silent_terminal_is_waited_for() -> None:
    """Once, on a line that is taken away again; keys typed meanwhile are kept."""
    with terminal(brands.SILENT) as played:
        played.type(b"jk")
        notice = Notice(played.slave)
        result = probe_terminal(
            input_fd=played.slave,
            output_fd=played.slave,
            environment=ENVIRONMENT,
            longest_wait=0.5,
            while_waiting=notice.show,
        )
        assert result.typed + unread(played) == b"jk"
        notice.clear()
        notice.clear()
        played.wait_for(lambda output: output.endswith(b"\r\x1b[K"), "end of the notice")
        assert played.output.count(b"asking the terminal") == 1
        assert played.output.count(b"\x1b[K") == 1


def test_a_terminal_that_answers_shows_no_notice() -> None:
    with terminal(brands.FOOT) as played:
        notice = Notice(played.slave)
        result = probe_terminal(
            input_fd=played.slave,
            output_fd=played.slave,
            environment=ENVIRONMENT,
            while_waiting=notice.show,
        )
        notice.clear()
        assert result.answered
        played.wait_for(lambda output: b"\x1b[c" in output, "question")
        assert b"asking" not in played.output


def test_an_answer_after_the_notice_still_counts() -> None:
    with terminal(Brand("foot(1.16.2)", "62;4", delay=0.4)) as played:
        told: list[bool] = []
        result = probe_terminal(
            input_fd=played.slave,
            output_fd=played.slave,
            environment=ENVIRONMENT,
            while_waiting=lambda: told.append(True),
        )
    assert told == [True]
    assert result.choice.protocol is Protocol.SIXEL


def test_the_terminal_mode_is_as_before() -> None:
    with terminal(brands.FOOT) as played:
        before = termios.tcgetattr(played.slave)
        probe(played)
        assert termios.tcgetattr(played.slave) == before


def test_without_a_terminal_nothing_is_asked_and_pictures_are_off() -> None:
    reader, writer = os.pipe()
    try:
        result = probe_terminal(input_fd=reader, output_fd=writer, environment=ENVIRONMENT)
        assert not select.select([reader], [], [], 0)[0]
    finally:
        os.close(reader)
        os.close(writer)
    assert (result.choice.protocol, result.asked) == (Protocol.OFF, False)


@pytest.mark.parametrize("name", ["dumb", "linux", ""])
def test_terminals_that_print_queries_are_never_asked(name: str) -> None:
    with terminal(brands.KITTY) as played:
        result = probe(played, TERM=name)
        played.settle(0.05)
        assert played.output == b""
    assert result.choice.protocol is Protocol.OFF


def test_no_kitty_query_inside_tmux_because_it_would_become_the_title() -> None:
    with terminal(brands.TMUX_WITH_SIXEL) as played:
        result = probe(played, TMUX="/tmp/tmux-0/default,1,0")  # noqa: S108
        assert b"\x1b_G" not in played.output
    assert result.choice.protocol is Protocol.SIXEL
    assert result.choice.multiplexer == "tmux"


def test_pictures_off_asks_nothing() -> None:
    with terminal(brands.KITTY) as played:
        result = probe_terminal(
            Protocol.OFF,
            input_fd=played.slave,
            output_fd=played.slave,
            environment=ENVIRONMENT,
        )
        played.settle(0.05)
        assert played.output == b""
    assert result.choice.protocol is Protocol.OFF


def test_doctor_says_what_was_found_and_how_to_override() -> None:
    with terminal(brands.XTERM_VT340) as played:
        text = "\n".join(explain(probe(played)))
    for part in ("xterm 379", "sixel", "10 x 20", "1000 x 1000", "--graphics"):
        assert part in text


ANSWERS = [
    b"\x1bP>|XTerm(379)\x1b\\",
    b"\x1b_Gi=31;OK\x1b\\",
    b"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\",
    b"\x1b[6;20;10t",
    b"\x1b[4;480;800t",
    b"\x1b[?1;0;256S",
    b"\x1b[?2;0;1000;1000S",
    b"\x1b[?1;3;0S",
    b"\x1b[?63;1;2;4c",
]
TYPED = [b"j", b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1bOP", b"\x1b[15~", b"\x1b[<0;3;4M", b"\x1bP"]


@given(st.lists(st.tuples(st.sampled_from(["typed", "answer"]), st.integers(0, 8)), max_size=12))
def test_any_mixture_of_keys_and_answers_is_taken_apart(parts: list[tuple[str, int]]) -> None:
    data = typed = b""
    for kind, number in parts:
        piece = ANSWERS[number] if kind == "answer" else TYPED[number % len(TYPED)]
        data += piece
        typed += piece if kind == "typed" else b""
    assert split_answers(data)[1] == typed
    assert has_final_answer(data) == any(p == ("answer", 8) for p in parts)


@given(st.binary(max_size=80))
def test_bytes_that_hold_no_answer_come_back_whole(data: bytes) -> None:
    if b"\x1b[" not in data and b"\x1bP" not in data and b"\x1b_" not in data:
        assert split_answers(data)[1] == data


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_cut_off_by_the_deadline_does_not_become_keys(answer: bytes) -> None:
    for size in range(4, len(answer)):
        assert split_answers(b"ab" + answer[:size])[1] == b"ab"


def test_a_hostile_version_cannot_carry_control_bytes() -> None:
    answers, _ = split_answers(b"\x1bP>|ev\xc2\x9bil\n(1)\x1b\\")
    assert answers.version_text.isprintable()
    assert answers.version_text.isascii()
