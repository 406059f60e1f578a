"""Where an attribute of one frame is: its functional groups, the shared ones, the object."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from tuipacs.dicom.pixels.values import items


def _group(dataset: Dataset, sequence: str, index: int, macro: str) -> Dataset | None:
    found = items(dataset, sequence)
    if index >= len(found):
        return None
    inner = items(found[index], macro)
    return inner[0] if inner else None


def places(dataset: Dataset, index: int, macro: str) -> Iterator[Dataset]:
    """Yield the datasets that may hold a macro's attributes, the most specific first.

    ``index`` is the 0-based frame; ``macro`` the keyword of the macro's sequence (PS3.3 C.7.6.16:
    per-frame or shared, never both). The object itself comes last: there are enhanced objects
    made from classic ones that keep the attributes at the top.
    """
    own = _group(dataset, "PerFrameFunctionalGroupsSequence", index, macro)
    if own is not None:
        yield own
    shared = _group(dataset, "SharedFunctionalGroupsSequence", 0, macro)
    if shared is not None:
        yield shared
    yield dataset
