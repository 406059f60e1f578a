"""What a person feels: time to the first paint, and from a key to the screen that shows it.

    python benchmarks/ui.py FOLDER [--instances 1000000] [--runs 9] [--presses 120]

FOLDER gets an archive whose index `fill_index.py` fills, or is one from an earlier run. The real
program runs on a pty; times are from the write of a key to the arrival of the bytes that change
the screen, at 80x24 and 160x45. The archive has rows and no files, so previews explain that; the
last part, keys during reception, adds some thousand stored objects to it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import rig
from fill_index import fill
from played_terminal import PlayedTerminal, Replay

from tuipacs.index.database import Index
from tuipacs.paths import ArchivePaths

SIZES = ((80, 24), (160, 45))
PAUSE = 0.2  # seconds between single presses
HELD = 1 / 30  # seconds between the repeats of a held key
TYPED = 0.1  # seconds between letters
JUMP_PAUSE = 0.5  # seconds between jumps, which load rows
PATIENT = re.compile(r"P\d{7}")
PROMPT = re.compile(r"│ / ")
RESULT = re.compile(r"[\d,]+ of [\d,]+ patients")
HOME, PAGE_DOWN, ESCAPE = b"\x1b[H", b"\x1b[6~", b"\x1b"
FILTER = "doe"
Holds = Callable[[Replay], bool]


def open_archive(folder: Path, instances: int) -> ArchivePaths:
    """The archive in ``folder``, made and filled if there is none."""
    paths = ArchivePaths(folder)
    if not paths.exists:
        paths = rig.make_archive(folder)
        index = Index(paths.index)
        fill(index, instances, 10)
        index.close()
    return paths


class Screen:
    """One run of the program on a terminal of one size."""

    def __init__(self, paths: ArchivePaths, state: Path, size: tuple[int, int], silent: bool):
        self.terminal = PlayedTerminal(*size, silent=silent)
        self.replay = Replay(self.terminal)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUIPACS", "PYTHON"))}
        self.started = time.perf_counter()
        self.process = self.terminal.run(
            [sys.executable, "-m", "tuipacs", "--archive", str(paths.root)],
            kept | {"XDG_CONFIG_HOME": str(state), "PYTHONPYCACHEPREFIX": str(state / "bytecode")},
        )

    def log_in(self) -> None:
        """Up to the archive's rows, by name: what arrives meanwhile leaves the top as it is."""
        self.replay.wait(lambda r: "Password" in r.text, "the login form")
        self.terminal.type(f"{rig.ADMIN}\t{rig.PASSWORD}\r".encode())
        self.replay.wait(lambda r: bool(PATIENT.search(r.text)), "the rows of the archive")
        for name in ("newest study", "name"):
            words = f"by {name} ─"
            settle(self, b"S", lambda r, words=words: words in r.text, words)

    def close(self) -> None:
        """End the program and the terminal."""
        with rig.ended(self.process):
            self.process.kill()
        self.terminal.close()


@contextlib.contextmanager
def running(
    paths: ArchivePaths, state: Path, size: tuple[int, int], *, silent: bool = False
) -> Iterator[Screen]:
    """The program on a terminal until the block ends."""
    screen = Screen(paths, state, size, silent)
    try:
        yield screen
    finally:
        screen.close()


def _has_rows(replay: Replay) -> bool:
    return replay.row_under_cursor(PATIENT) is not None


# --- (a) first paint


def first_paints(paths: ArchivePaths, state: Path, runs: int) -> None:
    """Time from exec to the first text, and to the login form; one run before warms up."""
    rows = []
    with running(paths, state, SIZES[0]) as screen:
        screen.replay.wait(lambda r: "Password" in r.text, "the login form")
    for silent in (False, True):
        for size in SIZES:
            painted, worked, asked = [], [], []
            for _ in range(runs):
                with running(paths, state, size, silent=silent) as screen:
                    replay = screen.replay
                    painted.append(replay.wait(_has_text, "any text") - screen.started)
                    worked.append(replay.worked)
                    form = replay.wait(lambda r: "Password" in r.text, "the login form")
                    asked.append(form - screen.started)
            rows.append(
                (
                    f"{size[0]}x{size[1]}, {'silent' if silent else 'answers at once'}",
                    f"{statistics.median(painted):.3f} s",
                    f"{max(painted):.3f} s",
                    f"{statistics.median(worked):.3f} s",
                    f"{statistics.median(asked):.3f} s",
                )
            )
    heads = ("terminal", "first paint", "slowest", "processor time", "login form")
    print(f"First paint, median of {runs}; goal: under 0.4 s on a terminal that answers")
    rig.print_table(heads, rows)


def _has_text(replay: Replay) -> bool:
    return bool(replay.text.strip())


# --- (b) key to paint


@dataclass
class Act:
    """Some presses of the same kind: when each was, and when the screen showed it."""

    name: str
    times: list[float]
    missed: int = 0

    def note(self, pressed: float, shown: float | None) -> None:
        """One press."""
        if shown is None:
            self.missed += 1
        else:
            self.times.append((shown - pressed) * 1000)

    def row(self, size: str) -> tuple[str, ...]:
        """A line of the table."""
        if not self.times:
            return (size, self.name, "0", "-", "-", "-", str(self.missed))
        figures = (
            statistics.median(self.times),
            rig.percentile(self.times, 0.95),
            max(self.times),
        )
        return (
            size,
            self.name,
            str(len(self.times)),
            *(f"{figure:.1f}" for figure in figures),
            str(self.missed),
        )


def press(screen: Screen, keys: bytes, count: int, pause: float) -> list[float]:
    """Press a key ``count`` times, on the beat; returns when each press was, and the end."""
    times: list[float] = []
    start = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, start + number * pause - time.perf_counter()))
        times.append(screen.terminal.type(keys))
    time.sleep(max(pause, 0.5))
    return [*times, time.perf_counter()]


def settle(screen: Screen, keys: bytes, holds: Holds, what: str) -> None:
    """Press something and wait for what it does, unmeasured."""
    screen.terminal.type(keys)
    screen.replay.wait(holds, what)
    time.sleep(JUMP_PAUSE)
    screen.replay.until(time.perf_counter())


def learn(screen: Screen, presses: int) -> dict[str | None, int]:
    """The place of each of the first rows, found by waiting for every step; unmeasured."""
    replay = screen.replay
    settle(screen, HOME, _has_rows, "the first row")
    order = [replay.row_under_cursor(PATIENT)]
    for _ in range(presses):
        screen.terminal.type(b"j")
        replay.wait(lambda r: _moved(r, order[-1]), "the next row")
        order.append(replay.row_under_cursor(PATIENT))
    if len(set(order)) != len(order):
        raise SystemExit("the same patient stands twice in the list")
    return {row: number for number, row in enumerate(order)}


def steps(screen: Screen, place: dict[str | None, int]) -> list[Act]:
    """``j`` one at a time, then held: the n-th press is shown when row n or a later one is.

    A press is missed when its row is never reached: as many keys had no effect.
    """
    replay, acts = screen.replay, []
    for name, pause in (("j", PAUSE), ("j held, 30 a second", HELD)):
        settle(screen, HOME, lambda r: place.get(r.row_under_cursor(PATIENT)) == 0, "the first row")
        *times, end = press(screen, b"j", len(place) - 1, pause)
        act = Act(name, [])
        reached, shown = 0, times[0]
        for number, pressed in enumerate(times, start=1):
            if reached < number:
                found = replay.first(
                    lambda r, n=number: place.get(r.row_under_cursor(PATIENT), 0) >= n, end
                )
                if found is None:
                    act.missed += 1
                    continue
                reached, shown = place[replay.row_under_cursor(PATIENT)], found
            if shown < pressed:
                raise SystemExit("a row was under the cursor before its key was pressed")
            act.times.append((shown - pressed) * 1000)
        acts.append(act)
    return acts


def jumps(screen: Screen, count: int) -> list[Act]:
    """``G`` and back, then page down."""
    replay = screen.replay
    change, rows, pages = Act("G", []), Act("G, its rows loaded", []), Act("page down", [])
    for _ in range(count):
        settle(screen, HOME, _has_rows, "the first row")
        before, seen = replay.row_under_cursor(PATIENT), replay.cells()
        pressed = screen.terminal.type(b"G")
        time.sleep(JUMP_PAUSE)
        end = time.perf_counter()
        shown = replay.first(lambda r, seen=seen: r.cells() != seen, end)
        change.note(pressed, shown)
        there = shown
        if not (shown and _moved(replay, before)):
            there = replay.first(lambda r, before=before: _moved(r, before), end)
        rows.note(pressed, there)
    settle(screen, HOME, _has_rows, "the first row")
    times = press(screen, PAGE_DOWN, count * 2, JUMP_PAUSE)
    for pressed, following in itertools.pairwise(times):
        replay.until(pressed)
        seen = replay.cells()
        pages.note(pressed, replay.first(lambda r, seen=seen: r.cells() != seen, following))
    return [change, rows, pages]


def _moved(replay: Replay, before: str | None) -> bool:
    return _has_rows(replay) and replay.row_under_cursor(PATIENT) != before


def filters(screen: Screen, count: int) -> list[Act]:
    """``/doe`` typed like a person types, and its result."""
    replay = screen.replay
    line, letters = Act("/", []), Act("a letter of the filter", [])
    result = Act("filter's result after its last letter", [])
    settle(screen, HOME, _has_rows, "the first row")
    for _ in range(count):
        pressed = screen.terminal.type(b"/")
        time.sleep(JUMP_PAUSE)
        line.note(pressed, replay.first(lambda r: bool(PROMPT.search(r.text)), time.perf_counter()))
        times = []
        for letter in FILTER:
            times.append(screen.terminal.type(letter.encode()))
            time.sleep(TYPED)
        time.sleep(2.0)
        end = time.perf_counter()
        for number, pressed in enumerate(times, start=1):
            wanted = f"│ / {FILTER[:number]}"
            letters.note(pressed, replay.first(lambda r, wanted=wanted: wanted in r.text, end))
        result.note(times[-1], replay.first(lambda r: bool(RESULT.search(r.text)), end))
        screen.terminal.type(ESCAPE)
        time.sleep(JUMP_PAUSE)
        settle(screen, ESCAPE, lambda r: not RESULT.search(r.text), "the whole list again")
    return [line, letters, result]


@contextlib.contextmanager
def receiving(port: int, folder: Path) -> Iterator[None]:
    """A DCMTK sender that stores 33 kB objects as fast as it can until the block ends."""
    if not folder.exists():
        rig.write_series(folder, 1, 128)
    words = ["storescu", "-aec", "TUIPACS", "--repeat", "1000000", "--invent-instance"]
    sender = subprocess.Popen(
        [*words, "127.0.0.1", str(port), str(folder / "00001.dcm")],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with rig.ended(sender):
        yield


def keys_to_paint(daemon: rig.Daemon, state: Path, presses: int) -> None:
    """All acts at both sizes."""
    rows = []
    jumps_made = max(3, presses // 12)
    for size in SIZES:
        with running(daemon.paths, state, size) as screen:
            screen.log_in()
            acts = [
                *steps(screen, learn(screen, presses)),
                *jumps(screen, jumps_made),
                *filters(screen, jumps_made),
            ]
        rows += [act.row(f"{size[0]}x{size[1]}") for act in acts]
    print("Key to paint in ms; goal: p95 under 50. The filter waits 150 ms for the next letter.")
    heads = ("terminal", "key", "presses", "median", "p95", "slowest", "missed")
    rig.print_table(heads, rows, left=2)


def keys_while_receiving(daemon: rig.Daemon, state: Path, presses: int) -> None:
    """Moving in the list while another patient's objects arrive without end."""
    if shutil.which("storescu") is None:
        print("not run: keys while receiving (DCMTK's storescu is not installed)")
        return
    rows = []
    with contextlib.closing(daemon.connect()) as link:
        for size in SIZES:
            with running(daemon.paths, state, size) as screen:
                screen.log_in()
                place = learn(screen, presses)
                before, began = rig.instances(link), time.perf_counter()
                with receiving(daemon.health.port, state / "object"):
                    time.sleep(1.0)
                    acts = steps(screen, place)
                rate = (rig.instances(link) - before) / (time.perf_counter() - began)
            rows += [(*act.row(f"{size[0]}x{size[1]}"), f"{rate:.0f}") for act in acts]
    print("Key to paint in ms while one association stores 33 kB objects as fast as it can.")
    print("Missed: so many presses had no effect at all.")
    heads = ("terminal", "key", "presses", "median", "p95", "slowest", "missed", "stored a second")
    rig.print_table(heads, rows, left=2)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--presses", type=int, default=120)
    options = parser.parse_args()
    rig.tell_machine()
    paths = open_archive(options.folder, options.instances)
    with rig.scratch(None) as state, rig.running_daemon(paths) as daemon:
        with contextlib.closing(daemon.connect()) as link:
            print(f"{rig.instances(link):,} instances in the index\n")
        first_paints(paths, state, options.runs)
        keys_to_paint(daemon, state, options.presses)
        keys_while_receiving(daemon, state, options.presses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
