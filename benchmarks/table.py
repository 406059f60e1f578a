"""What the engine's benchmarks have in common: repeats, medians, goals, and the one table.

A measure has values of up to three programs, in the order in which they were taken. Larger is
better unless the goal is a limit. Ratios are ours to theirs.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rig

OURS, DCMTK, ORTHANC = "tuipacs", "DCMTK", "Orthanc"


@dataclass(frozen=True)
class Goal:
    """At least ``factor`` times ``against``, or at least, or below, a figure of its own."""

    against: str = ""
    factor: float = 1.0
    at_least: float | None = None
    below: float | None = None

    @property
    def words(self) -> str:
        """For the table."""
        if self.against:
            return f"{self.factor:g} x {self.against}"
        if self.below is not None:
            return f"under {self.below:g}"
        return f"{self.at_least:,.0f}"

    def reached(self, medians: dict[str, float]) -> bool | None:
        """None when what it compares with was not measured."""
        ours = medians.get(OURS)
        if ours is None or (self.against and self.against not in medians):
            return None
        if self.below is not None:
            return ours < self.below
        wanted = self.factor * medians[self.against] if self.against else self.at_least
        return wanted is not None and ours >= wanted


@dataclass
class Measure:
    """One line of the table. ``further`` are other figures of the same runs, for --json."""

    name: str
    unit: str
    goals: Sequence[Goal] = ()
    values: dict[str, list[float]] = field(default_factory=dict)
    further: dict[str, list[Any]] = field(default_factory=dict)
    note: str = ""

    def add(self, program: str, value: float, **further: float | list[float]) -> None:
        """One run of one program."""
        self.values.setdefault(program, []).append(value)
        for name, figure in further.items():
            self.further.setdefault(f"{program}, {name}", []).append(figure)
        said = ", ".join(f"{k} {v}" for k, v in further.items())
        print(f"  {self.name}: {program} {value:,.1f} {self.unit}; {said}", file=sys.stderr)

    @property
    def medians(self) -> dict[str, float]:
        """Program to the median of its runs."""
        return {program: statistics.median(values) for program, values in self.values.items()}

    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        medians = self.medians
        ours = medians.get(OURS)

        def ratio(program: str) -> str:
            theirs = medians.get(program)
            return f"{ours / theirs:.2f}" if ours and theirs else "-"

        return (
            self.name,
            self.unit,
            *(_figure(medians.get(program)) for program in (OURS, DCMTK, ORTHANC)),
            ratio(DCMTK),
            ratio(ORTHANC),
            "; ".join(goal.words for goal in self.goals) or "-",
            "; ".join(_VERDICT[goal.reached(medians)] for goal in self.goals) or "-",
        )

    def as_data(self) -> dict[str, Any]:
        """For --json: every run, too."""
        return {
            "measure": self.name,
            "unit": self.unit,
            "median": self.medians,
            "runs": self.values,
            "further": self.further,
            "goals": [[goal.words, goal.reached(self.medians)] for goal in self.goals],
            "note": self.note,
        }


_VERDICT = {True: "reached", False: "NOT REACHED", None: "not compared"}
_HEADS = (
    "measure",
    "unit",
    OURS,
    DCMTK,
    ORTHANC,
    "/ DCMTK",
    "/ Orthanc",
    "goal",
    "goal reached",
)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show(
    measures: Sequence[Measure],
    not_run: Sequence[str],
    as_json: bool,
    here: Mapping[str, object] | None = None,
) -> None:
    """Print the table, or JSON; what was not run and why stands in both."""
    here = here or rig.machine()
    if as_json:
        data = {
            "machine": here,
            "measures": [measure.as_data() for measure in measures],
            "not_run": list(not_run),
        }
        print(json.dumps(data, indent=1))
        return
    print(", ".join(f"{name} {value}" for name, value in here.items()), end="\n\n")
    rig.print_table(_HEADS, [measure.row() for measure in measures], left=2)
    for measure in measures:
        if measure.note:
            print(f"{measure.name}: {measure.note}")
    for line in not_run:
        print(f"not run: {line}")
