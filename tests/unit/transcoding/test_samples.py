"""From what a decoder gives to what is stored: no bit more, no bit less (PS3.5 8.1.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tuipacs.dicom.pixels.codecs import Decompressed
from tuipacs.dicom.pixels.codestream import Codestream, Coding
from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.dicom.transcoding.frames import stored_samples, wider_bits
from tuipacs.errors import DecodeError

LOSSLESS, LOSSY = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"


def header(syntax: str = LOSSLESS, **other: Any) -> PixelHeader:
    values: dict[str, Any] = {
        "transfer_syntax": syntax,
        "native": False,
        "keyword": "PixelData",
        "photometric": "MONOCHROME2",
        "rows": 1,
        "columns": 2,
        "samples": 1,
        "planar": 0,
        "frames": 1,
        "bits_allocated": 16,
        "bits_stored": 12,
        "high_bit": 11,
        "signed": False,
    }
    return PixelHeader(**values | other)


def decoded(values: list[int], dtype: str, precision: int, *, signed: bool = False) -> Decompressed:
    stream = Codestream(
        coding=Coding.JPEG_2000,
        rows=1,
        columns=2,
        components=1,
        precision=precision,
        signed=signed,
    )
    samples = np.array([values], dtype)
    return Decompressed(samples=samples, photometric="MONOCHROME2", decoder="none", stream=stream)


def test_a_sign_is_spread_over_the_bits_above_it() -> None:
    """JPEG and JPEG-LS know no sign; who wrote whole words had it in all of them."""
    samples = stored_samples(decoded([0x0FFF, 0x07FF], "u2", 12), header(signed=True))
    assert samples.tobytes() == b"\xff\xff\xff\x07"


def test_words_that_are_coded_whole_are_kept_whole() -> None:
    samples = stored_samples(decoded([0xF123, 0x0456], "u2", 16), header(signed=True))
    assert samples.tobytes() == b"\x23\xf1\x56\x04"


def test_signed_samples_of_an_unsigned_header_keep_their_bits_only() -> None:
    samples = stored_samples(decoded([-1, 5], "i2", 12, signed=True), header())
    assert samples.tobytes() == b"\xff\x0f\x05\x00"


def test_eight_bits_fill_the_words_that_are_allocated() -> None:
    samples = stored_samples(decoded([200, 5], "u1", 8), header(bits_stored=8, high_bit=7))
    assert samples.tobytes() == b"\xc8\x00\x05\x00"


@pytest.mark.parametrize(
    ("precision", "other"),
    [(17, {}), (12, {"high_bit": 15}), (12, {"bits_allocated": 8, "bits_stored": 8})],
)
def test_samples_that_do_not_fit_are_refused(precision: int, other: dict[str, int]) -> None:
    with pytest.raises(DecodeError):
        stored_samples(decoded([1, 2], "u2", precision), header(**other))


@pytest.mark.parametrize(
    ("syntax", "precision", "signed", "wider"),
    [
        (LOSSY, 16, False, 16),
        (LOSSY, 12, False, None),
        (LOSSLESS, 16, False, None),
        (LOSSY, 16, True, None),
    ],
)
def test_only_lossy_values_may_need_more_than_the_stored_bits(
    syntax: str, precision: int, signed: bool, wider: int | None
) -> None:
    found = wider_bits(decoded([1, 2], "u2", precision), header(syntax, signed=signed))
    assert found == wider
