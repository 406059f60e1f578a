"""A faulty peer that answers queries about the objects it has, as an archive does."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tests.builders import dataset_bytes
from tests.dimse.faulty_peer import Asked, FaultyPeer, Held


class ImageSource(FaultyPeer):
    """``has``: datasets. ``says``: what it makes of its answers; else it tells the truth. What it
    says in bytes goes out as it is.
    """

    def __init__(
        self,
        has: Sequence[Dataset] = (),
        says: Callable[[Dataset, list[Dataset]], Sequence[Dataset | bytes]] = lambda _, found: (
            found
        ),
        **more: object,
    ) -> None:
        self.has = list(has)
        self.says = says
        super().__init__(**more)  # type: ignore[arg-type]
        if "objects" not in more:
            self.objects = [held(dataset) for dataset in has]

    @property
    def matches(self) -> list[bytes]:  # type: ignore[override]
        """What the question that was asked last finds."""
        asked = question(self.asked[-1])
        return [_encoded(match) for match in self.says(asked, self._found(asked))]

    @matches.setter
    def matches(self, _: list[bytes]) -> None:
        """The base class sets none."""

    def _found(self, asked: Dataset) -> list[Dataset]:
        level = asked.QueryRetrieveLevel
        key = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}.get(
            level, "SOPInstanceUID"
        )
        found: dict[str, Dataset] = {}
        for dataset in self.has:
            above = [asked.get(name) for name in ("StudyInstanceUID", "SeriesInstanceUID")]
            have = [dataset.StudyInstanceUID, dataset.SeriesInstanceUID]
            wanted = {"STUDY": 1, "SERIES": 1}.get(level, 2)
            if any(a and a != h for a, h in zip(above[:wanted], have, strict=False)):
                continue
            match = Dataset()
            match.QueryRetrieveLevel = level
            for element in asked:
                if element.keyword in dataset:
                    match[element.tag] = dataset[element.tag]
            found.setdefault(dataset[key].value, match)
        return list(found.values())


def held(dataset: Dataset, **changes: object) -> Held:
    """An object to be sent."""
    return Held(
        str(dataset.SOPClassUID),
        str(changes.get("sop_instance_uid", dataset.SOPInstanceUID)),
        dataset=dataset_bytes(dataset),
    )


def question(asked: Asked) -> Dataset:
    """The identifier of a request."""
    return dcmread(io.BytesIO(asked.dataset), force=True)


def with_uid(dataset: Dataset, uid: str) -> Held:
    """An object under a UID that no sane program gives; its command has it cut, as DCMTK's has."""
    data = dataset_bytes(dataset)
    start = data.index(b"\x08\x00\x18\x00UI")
    end = start + 8 + int.from_bytes(data[start + 6 : start + 8], "little")
    value = uid.encode() + b"\0" * (len(uid) % 2)
    head = data[start : start + 6] + len(value).to_bytes(2, "little")
    data = data[:start] + head + value + data[end:]
    dataset["SOPInstanceUID"] = DataElement(0x00080018, "UI", uid, validation_mode=IGNORE)
    return Held(str(dataset.SOPClassUID), uid[:64], dataset=data)


def _encoded(match: Dataset | bytes) -> bytes:
    if isinstance(match, bytes):
        return match
    out = io.BytesIO()
    match.save_as(out, implicit_vr=False, little_endian=True)
    return out.getvalue()
