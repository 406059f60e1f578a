"""Damaged input to every reader of hostile bytes: taken, or refused as declared, and no more."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.damage import damaged
from tests.fuzz.targets import CORPUS, TARGETS, kept_files, seeds

MEMORY = 64 << 20  # bytes; a deflated dataset may be inflated to 16 MiB for its header
CORPUS_LIMIT = 300_000  # bytes in the repository
KEPT = [path for name in TARGETS for path in kept_files(name)]


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_taken_or_refused(name: str) -> None:
    @settings(max_examples=150, deadline=None, database=None)
    @given(damaged(list(seeds(name))))
    def reads(data: bytes) -> None:
        TARGETS[name](data)

    reads()


@pytest.mark.parametrize("name", TARGETS)
def test_noise_is_taken_or_refused(name: str) -> None:
    @settings(max_examples=50, deadline=None, database=None)
    @given(st.binary(max_size=300))
    def reads(data: bytes) -> None:
        TARGETS[name](data)

    reads()


@pytest.mark.parametrize("name", TARGETS)
def test_what_earlier_runs_left_is_taken_or_refused_in_little_memory(name: str) -> None:
    """Finds of the fuzzers stay mended."""
    for path in kept_files(name):
        data = path.read_bytes()
        tracemalloc.start()
        TARGETS[name](data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEMORY, path.name


def test_the_kept_inputs_are_few_and_small() -> None:
    assert {path.parent.name for path in KEPT} == set(TARGETS)
    assert sum(path.stat().st_size for path in _files(CORPUS)) < CORPUS_LIMIT


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
