"""Whether a dataset's texts are all in its bytes.

pydicom writes ``?`` for a character that the named set does not have, and Latin-1 where none is
named. In a question that is a wildcard, and finds other patients; in an object it is a wrong name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.charset import convert_encodings
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from tuipacs.dicom.charset import CHARSET_VRS, charset_of

UTF_8 = "ISO_IR 192"
_IN_ASCII = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
_LOOKED_AT = CHARSET_VRS | _IN_ASCII | {"SQ"}
_CODECS = {"iso8859": "ascii", "iso_ir_58": "gb2312"}  # what pydicom calls them


def can_be_said(dataset: Dataset, inherited: Sequence[str] = ("",)) -> bool:
    """Whether the named character sets have every character, here and in all items.

    ``inherited``: the terms of the dataset around it.
    """
    terms = _terms(dataset, inherited)
    codecs = [_CODECS.get(codec, codec) for codec in convert_encodings(list(terms))]
    for element in _elements(dataset, terms):
        if element.VR == "SQ":
            good = all(can_be_said(item, terms) for item in element.value)
        else:
            own = codecs if element.VR in CHARSET_VRS else ["ascii"]
            good = _is_in(_text(element), own)
        if not good:
            return False
    return True


def is_said(dataset: Dataset, written: Dataset, inherited: Sequence[str] = ("",)) -> bool:
    """Whether what was ``written``, and read without looking at values, has the same texts.

    They are read as all received objects are.
    """
    terms = _terms(dataset, inherited)
    charset = charset_of("\\".join(terms).encode("ascii", "replace"))
    for element in _elements(dataset, terms, written):
        if element.VR == "SQ":
            items = written[element.tag].value
            if len(items) != len(element.value) or not all(
                is_said(item, other, terms)
                for item, other in zip(element.value, items, strict=True)
            ):
                return False
            continue
        if element.VR not in CHARSET_VRS:
            continue  # only ASCII, as `can_be_said` has seen
        raw = written.get_item(element.tag).value
        text, remark = charset.decode(bytes(raw or b""), is_name=element.VR == "PN")
        if remark or text.rstrip(" =\0") != _text(element).rstrip(" =\0"):
            return False
    return True


def in_utf_8(dataset: Dataset) -> Dataset:
    """A copy that will be written in UTF-8 and says so."""
    changed = _without_character_set(dataset)
    changed.SpecificCharacterSet = UTF_8
    return changed


def _without_character_set(dataset: Dataset) -> Dataset:
    """With names as plain texts: pydicom keeps them in the bytes of the set they were read in."""
    changed = Dataset()
    for element in dataset:
        if element.keyword == "SpecificCharacterSet":
            continue
        value = element.value
        if element.VR == "SQ":
            value = [_without_character_set(item) for item in value]
        elif element.VR == "PN" and value is not None:
            value = _text(element)
        changed[element.tag] = DataElement(element.tag, element.VR, value, validation_mode=IGNORE)
    return changed


def _elements(
    dataset: Dataset, terms: Sequence[str], written: Dataset | None = None
) -> Iterator[DataElement]:
    """Elements with texts or items. Nothing is decoded in place, which would change the bytes.

    Left out are values that nobody looked at, as they are ``written`` just as they were read.
    """
    original = dataset.original_character_set
    codecs = [original] if isinstance(original, str) else list(original or [])
    are_kept = codecs == convert_encodings(list(terms))
    for tag in dataset.keys():  # noqa: SIM118 - iterating over the dataset decodes all
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            if element.VR is not None and element.VR not in _LOOKED_AT:
                continue
            if are_kept and (written is None or written.get_item(tag).value == element.value):
                continue
            element = convert_raw_data_element(element, encoding=codecs, ds=dataset)
        if element.VR in _LOOKED_AT and element.value is not None:
            yield element


def _terms(dataset: Dataset, inherited: Sequence[str]) -> list[str]:
    value = dataset.get("SpecificCharacterSet")
    if not value:
        return list(inherited)
    return [value] if isinstance(value, str) else [str(term) for term in value]


def _text(element: DataElement) -> str:
    value = element.value
    return "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value)


def _is_in(text: str, codecs: Sequence[str]) -> bool:
    if text.isascii():
        return True
    return any(_has(codec, text) for codec in codecs) or all(
        any(_has(codec, character) for codec in codecs) for character in set(text)
    )


def _has(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
