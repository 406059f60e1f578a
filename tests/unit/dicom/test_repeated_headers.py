"""What an object shares with the one before is not read again, and this changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tuipacs.dicom import attributes
from tuipacs.dicom.attributes import read_attributes
from tuipacs.domain.attributes import IndexedAttributes
from tuipacs.errors import InvalidObjectError

from .datasets import BIG, CT, EXPLICIT, IMPLICIT, item, sequence, text

VALUES: list[tuple[int, str, list[str | None]]] = [
    (0x00080005, "CS", ["ISO_IR 100", "ISO_IR 192", None, "nonsense"]),
    (0x00080016, "UI", [CT]),
    (0x00080018, "UI", ["1.2.3.4", "1.2.3.5", "no uid", "3" * 70]),
    (0x00080060, "CS", ["CT", "MR"]),
    (0x00100010, "PN", ["DOE^JANE", "M\xc3\xbcLLER", "x" * 5000]),
    (0x00100020, "LO", ["P1", "P2", "", None]),
    (0x0020000D, "UI", ["1.2.3", "1.2.4", ""]),
    (0x0020000E, "UI", ["1.2.3.1", "", "no uid"]),
    (0x00200011, "IS", [None, "1", "2"]),
    (0x00200013, "IS", [None, "1", "2"]),
    (0x00400275, "", ["R1", "R2", None]),
]

first_objects = st.tuples(*(st.sampled_from([values[0], *values]) for _, _, values in VALUES))
changes = st.one_of(
    *(st.tuples(st.just(place), st.sampled_from(v)) for place, (_, _, v) in enumerate(VALUES))
)


def written(syntax: str, values: Sequence[str | None]) -> bytes:
    data = b""
    for (tag, vr, _), value in zip(VALUES, values, strict=True):
        if value is None:
            continue
        if vr:
            data += text(tag, vr, value, syntax=syntax)
        else:
            step = item(text(0x00401001, "SH", value, syntax=syntax), syntax=syntax)
            data += sequence(tag, step, syntax=syntax)
    return data


def read(data: bytes, syntax: str) -> IndexedAttributes | str:
    try:
        return read_attributes(data, syntax)
    except InvalidObjectError as error:
        return error.message


@settings(max_examples=150, deadline=None)
@given(
    syntax=st.sampled_from([EXPLICIT, EXPLICIT, IMPLICIT, BIG]),
    first=first_objects,
    changed=st.lists(changes, max_size=12),
)
def test_what_was_read_before_makes_no_difference(
    syntax: str, first: tuple[str | None, ...], changed: list[tuple[int, str | None]]
) -> None:
    """Values, remarks and refusals are those of a reader that has seen nothing yet."""
    values = list(first)
    for place, value in [(0, first[0]), *changed]:
        values[place] = value
        data = written(syntax, values)
        warm = read(data, syntax)
        before = dict(attributes._known_above)
        attributes._known_above.clear()
        assert read(data, syntax) == warm
        attributes._known_above.update(before)


def test_what_is_kept_is_bounded() -> None:
    """In number, and no long text is kept: a sender cannot fill the memory with headers."""
    first = tuple(values[0] for _, _, values in VALUES)
    for number in range(3 * attributes._MOST_KNOWN):
        comments = text(0x00104000, "LT", "x" * (9000 * (number % 2)))
        data = written(EXPLICIT, (*first[:5], f"P{number}", *first[6:]))
        at = data.index(text(0x0020000D, "UI", "1.2.3"))
        read_attributes(data[:at] + comments + data[at:], EXPLICIT)
    kept = attributes._known_above
    assert 0 < len(kept) <= attributes._MOST_KNOWN
    assert not any(above.patient.patient_comments for above in kept.values())
