"""Damaged datasets are refused, or rewritten into something that is whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import dataset_bytes, make_dataset
from tests.fuzz.damage import damaged
from tests.unit.dicom.datasets import UNDEFINED, item, sequence, text
from tests.unit.pixels.images import fragments, image, rle, write
from tests.unit.transcoding.making import BIG, DEFLATED, EXPLICIT, IMPLICIT, of_dataset
from tuipacs.dicom.part10 import read_part10
from tuipacs.errors import DecodeError

RLE = "1.2.840.10008.1.2.5"


def _nested(syntax: str) -> bytes:
    inner = text(0x00080100, "SH", "AB", syntax=syntax)
    one = item(inner + sequence(0x00081115, item(inner, syntax=syntax), syntax=syntax))
    two = item(inner, length=UNDEFINED, syntax=syntax)
    return (
        text(0x00080016, "UI", "1.2", syntax=syntax)
        + sequence(0x00081115, one, syntax=syntax)
        + sequence(0x00081140, two, length=UNDEFINED, syntax=syntax)
        + text(0x00090010, "LO", "ACME", syntax=syntax)
        + sequence(0x00091010, two, length=UNDEFINED, syntax=syntax)
    )


def _compressed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        dataset = image(np.zeros((2, 1, 4)), "u1")
        value = fragments([rle(b"\1\2\3\4"), rle(b"\5\6\7\x08")])
        path = write(dataset, Path(folder) / "f", RLE, encapsulated=value)
        return path.read_bytes()[read_part10(path).dataset_offset :]


SEEDS = {
    EXPLICIT: [dataset_bytes(make_dataset()), _nested(EXPLICIT)],
    IMPLICIT: [dataset_bytes(make_dataset(), IMPLICIT), _nested(IMPLICIT)],
    BIG: [dataset_bytes(make_dataset(pixels=False), BIG)],
    RLE: [_compressed()],
}


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(sorted(SEEDS)), st.sampled_from([EXPLICIT, IMPLICIT, BIG]))
def test_damage_is_refused_or_gone(data: st.DataObject, stored: str, target: str) -> None:
    """What was written can be followed to its end, and written once more without a change."""
    dataset = data.draw(damaged(SEEDS[stored]))
    with tempfile.TemporaryDirectory() as folder:
        try:
            out = of_dataset(dataset, stored, target, Path(folder))
        except DecodeError:
            return
        if out:
            assert len(out) % 2 == 0
            assert of_dataset(out, target, target, Path(folder)) == out


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE]))
def test_noise_is_refused_or_rewritten(noise: bytes, stored: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            of_dataset(noise, stored, IMPLICIT if stored != IMPLICIT else EXPLICIT, Path(folder))
        except DecodeError:
            return
