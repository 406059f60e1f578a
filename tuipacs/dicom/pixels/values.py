"""Reading numbers and text out of a dataset nobody has checked."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence as AbstractSequence
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_description

from tuipacs.errors import DecodeError

#: What pydicom raises for a value that breaks the rules of its VR.
BAD_VALUE = (
    ValueError,  # includes UnicodeError
    TypeError,
    OverflowError,
    LookupError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,  # decimal
    struct.error,
    OSError,  # "no tag to read" in a sequence
    RecursionError,  # sequences are read when they are asked for
    EOFError,
)


def label(keyword: str) -> str:
    """Return the name of an attribute as the standard writes it."""
    return dictionary_description(keyword)


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value of an attribute, None if absent or empty; DecodeError if unreadable."""
    try:
        element = dataset.get(keyword)
    except BAD_VALUE as error:
        raise DecodeError(f"{label(keyword)} cannot be read") from error
    if element is None or (isinstance(element, (str, bytes)) and not element):
        return None
    if not isinstance(element, (str, bytes)) and isinstance(element, AbstractSequence):
        return element if len(element) else None
    return element


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return all values of a numeric attribute, [] if absent; DecodeError unless all are finite."""
    value = value_of(dataset, keyword)
    if value is None:
        return []
    many = isinstance(value, AbstractSequence) and not isinstance(value, (str, bytes))
    try:
        found = [float(one) for one in (value if many else [value])]
    except BAD_VALUE as error:
        raise DecodeError(f"{label(keyword)} is not a number") from error
    if not all(math.isfinite(one) for one in found):
        raise DecodeError(f"{label(keyword)} is not a finite number")
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of a numeric attribute, None if absent."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """Return an integer attribute; DecodeError if it is missing without default, or fractional."""
    found = number(dataset, keyword)
    if found is None:
        if default is None:
            raise DecodeError(f"{label(keyword)} is missing")
        return default
    if found != int(found):
        raise DecodeError(f"{label(keyword)} is not a whole number")
    return int(found)


def text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of a text attribute in capitals and without padding, "" if absent."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if not isinstance(value, (str, bytes)) and isinstance(value, AbstractSequence):
        value = value[0]
    return str(value).strip(" \0").upper()


def items(dataset: Dataset, keyword: str) -> AbstractSequence[Dataset]:
    """Return the items of a sequence, () if absent; DecodeError if it is no sequence."""
    value = value_of(dataset, keyword)
    if value is None:
        return ()
    if not isinstance(value, AbstractSequence) or not isinstance(value[0], Dataset):
        raise DecodeError(f"{label(keyword)} is not a sequence")
    return value


def words(dataset: Dataset, keyword: str, big_endian: bool) -> tuple[Any, bytes]:
    """Return a lookup table's data as (uint16 array, bytes in stream order).

    The bytes are for tables with two eight-bit entries in a word (PS3.3 C.7.6.3.1.6); those of a
    big endian file are swapped back, so that the first entry comes first.
    """
    value = value_of(dataset, keyword)
    if value is None:
        raise DecodeError(f"{label(keyword)} is missing")
    if isinstance(value, bytes):
        if len(value) % 2:
            value += b"\0"
        array = np.frombuffer(value, ">u2" if big_endian else "<u2").astype("<u2")
    else:
        many = isinstance(value, AbstractSequence)
        try:
            array = np.asarray(value if many else [value], np.int64)
        except BAD_VALUE as error:
            raise DecodeError(f"{label(keyword)} is not a list of numbers") from error
        array = (array & 0xFFFF).astype("<u2")
    return array, array.tobytes()
