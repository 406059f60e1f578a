"""Hypothesis strategies that lead good bytes astray."""

from __future__ import annotations

from hypothesis import strategies as st

LENGTHS = (0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
LENGTHS += (0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
MARKS = (b"SQ", b"UN", b"OB", b"UI", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0")


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of ``seeds`` after up to six edits: a wrong length, a cut, a repetition, a transplant."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        end = at + draw(st.integers(0, 64))
        edit = draw(st.integers(0, 6))
        if edit == 0:
            data[at] = draw(st.integers(0, 255))
        elif edit == 1:
            size, order = draw(st.sampled_from([2, 4])), draw(st.sampled_from(["little", "big"]))
            length = draw(st.sampled_from(LENGTHS)) & ((1 << 8 * size) - 1)
            data[at : at + size] = length.to_bytes(size, order)  # type: ignore[arg-type]
        elif edit == 2:
            del data[at:end]
        elif edit == 3:
            data[at:at] = data[at:end]
        elif edit == 4:
            del data[at:]
        elif edit == 5:
            mark = draw(st.sampled_from(MARKS))
            data[at : at + len(mark)] = mark
        else:
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, len(other)))
            data[at:at] = other[start : start + 200]
    return bytes(data)
