"""C-FIND identifiers that we ask with, and rows of what is answered (PS3.4 C.4.1, C.6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tuipacs.dicom.match_reader import MatchReader
from tuipacs.domain.find import LEVEL_TAG, LEVEL_WORDS
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.domain.remote import RemoteRow
from tuipacs.domain.remote_keys import Key
from tuipacs.domain.safe_text import clean
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid, strip_uid
from tuipacs.errors import InvalidObjectError

_FIELDS: Mapping[Level, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        Level.STUDY: {
            "patient_name": ("PatientName", "PN"),
            "patient_id": ("PatientID", "LO"),
            "issuer_of_patient_id": ("IssuerOfPatientID", "LO"),
            "patient_birth_date": ("PatientBirthDate", "DA"),
            "patient_sex": ("PatientSex", "CS"),
            "study_instance_uid": ("StudyInstanceUID", "UI"),
            "study_date": ("StudyDate", "DA"),
            "study_time": ("StudyTime", "TM"),
            "accession_number": ("AccessionNumber", "SH"),
            "study_id": ("StudyID", "SH"),
            "study_description": ("StudyDescription", "LO"),
            "referring_physician_name": ("ReferringPhysicianName", "PN"),
            "modalities_in_study": ("ModalitiesInStudy", "CS"),
            "series_count": ("NumberOfStudyRelatedSeries", "IS"),
            "instances": ("NumberOfStudyRelatedInstances", "IS"),
        },
        Level.SERIES: {
            "study_instance_uid": ("StudyInstanceUID", "UI"),
            "series_instance_uid": ("SeriesInstanceUID", "UI"),
            "modality": ("Modality", "CS"),
            "series_number": ("SeriesNumber", "IS"),
            "series_description": ("SeriesDescription", "LO"),
            "series_date": ("SeriesDate", "DA"),
            "instances": ("NumberOfSeriesRelatedInstances", "IS"),
        },
        Level.INSTANCE: {
            "study_instance_uid": ("StudyInstanceUID", "UI"),
            "series_instance_uid": ("SeriesInstanceUID", "UI"),
            "sop_instance_uid": ("SOPInstanceUID", "UI"),
            "sop_class_uid": ("SOPClassUID", "UI"),
            "instance_number": ("InstanceNumber", "IS"),
        },
    }
)
"""Level -> field of `RemoteRow` -> keyword and VR: what is asked back."""

_ABOVE = MappingProxyType(
    {
        Level.STUDY: (),
        Level.SERIES: ("study_instance_uid",),
        Level.INSTANCE: ("study_instance_uid", "series_instance_uid"),
    }
)
_NAMES = MappingProxyType(
    {
        "study_instance_uid": "Study Instance UID",
        "series_instance_uid": "Series Instance UID",
        "sop_instance_uid": "SOP Instance UID",
    }
)
_COUNT = re.compile(r"[0-9]{1,9}")
_LENIENT = frozenset(("LO", "SH", "CS"))
# How a name or a description is matched is the peer's own way (PS3.4 C.2.2.2.1): not judged here.
_JUDGED = frozenset(
    (
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyDate",
        "ModalitiesInStudy",
        "Modality",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
    )
)


class Unasked(Exception):
    """A good answer to another question."""


class UnusableUidError(InvalidObjectError):
    """An answer that can be read, and names nothing that could be asked for or kept.

    ``fault``: "no SOP Instance UID"; ``uid``: as it came; ``shown``: clean.
    """

    def __init__(self, name: str, uid: str) -> None:
        if not uid:
            self.fault = f"no {name}"
        elif len(uid) > MAX_KEPT_UID_LENGTH:
            self.fault = f"a {name} of {len(uid):,} characters"
        else:
            self.fault = f"a {name} with characters that none has"
        super().__init__(f"the answer has {self.fault}")
        self.uid = uid

    @property
    def shown(self) -> str:
        """The UID for a screen or a list."""
        return clean(self.uid, limit=MAX_KEPT_UID_LENGTH)


def identifier(level: Level, keys: Sequence[Key], character_set: str = "") -> Dataset:
    """The question; ``character_set`` is the defined term that its texts are said in if they can.

    Without one, or where it cannot say them, they are sent in UTF-8.
    """
    question = Dataset()
    _add(question, "QueryRetrieveLevel", "CS", LEVEL_WORDS[level])
    for keyword, vr in _FIELDS[level].values():
        _add(question, keyword, vr, "")
    for key in keys:
        _add(question, key.keyword, key.vr, key.text)
    if character_set and not all(key.text.isascii() for key in keys):
        terms = character_set.split("\\")
        _add(question, "SpecificCharacterSet", "CS", terms if len(terms) > 1 else character_set)
    return question


def _add(question: Dataset, keyword: str, vr: str, value: str | list[str]) -> None:
    tag = _tag(keyword)
    if vr == "UI" and isinstance(value, str) and "\\" in value:
        value = value.split("\\")
    question[tag] = DataElement(tag, vr, value, validation_mode=IGNORE)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise AssertionError(f"{keyword} is no keyword")
    return tag


class Answers:
    """Reads the answers of one node to one question.

    ``keys`` are those of the question; answers that do not fit them are not what was asked.
    """

    def __init__(self, node: int, level: Level, keys: Sequence[Key], character_set: str) -> None:
        self._node = node
        self._level = level
        self._character_set = character_set
        self._fields = {
            field: (_tag(keyword), vr) for field, (keyword, vr) in _FIELDS[level].items()
        }
        self._reader = MatchReader(dict([*self._fields.values(), (LEVEL_TAG, "CS")]))
        self._tests = [(_tag(key.keyword), _test(key)) for key in keys if key.keyword in _JUDGED]
        self._given = {
            field: key.text
            for field, (keyword, _) in _FIELDS[level].items()
            for key in keys
            if field in _ABOVE[level] and key.keyword == keyword
        }

    def read(self, data: bytes, transfer_syntax: str) -> RemoteRow:
        """One answer. Raises `InvalidObjectError` for none at all, `UnusableUidError` for one that
        names nothing, and `Unasked` for another's.
        """
        values = self._reader.read(data, transfer_syntax, self._character_set)
        level = values.pop(LEVEL_TAG, "").strip()
        if level and level != LEVEL_WORDS[self._level]:
            raise Unasked
        if any(values.get(tag) and not fits(values[tag]) for tag, fits in self._tests):
            raise Unasked
        fields: dict[str, object] = {}
        for field, (tag, vr) in self._fields.items():
            text = values.get(tag, "")
            if field == "sop_class_uid":
                fields[field] = (
                    strip_uid(text) if is_usable_uid(text) else ""
                )  # no more than a hint
            elif vr == "UI":
                fields[field] = _uid(text, _NAMES[field], optional=field in self._given)
            elif field in ("instances", "series_count"):
                fields[field] = int(text) if _COUNT.fullmatch(text.strip()) else None
            elif field == "modalities_in_study":
                fields[field] = tuple(part.strip() for part in text.split("\\") if part.strip())
            else:
                fields[field] = text
        for field, text in self._given.items():
            fields[field] = fields[field] or text
        return RemoteRow(node=self._node, level=self._level, **fields)  # type: ignore[arg-type]


def _uid(text: str, name: str, *, optional: bool) -> str:
    uid = strip_uid(text)
    if not (is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH) or (optional and not uid)):
        raise UnusableUidError(name, uid)
    return uid


def _test(key: Key) -> Callable[[str], bool]:
    """Whether an answer's value, which is not empty, is what was asked for; case is the peer's."""
    lenient = key.vr in _LENIENT
    condition = condition_of(key.vr, key.text.casefold() if lenient else key.text)

    def fits(value: str) -> bool:
        if condition is None:
            return True
        values = value.split("\\") if key.vr == "CS" else [value]
        return any(condition.fits((v.casefold() if lenient else v).strip(" ")) for v in values)

    return fits


def retrieve_identifier(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Sequence[str] = ()
) -> Dataset:
    """What a C-MOVE or C-GET is to send: a whole series, or some of its instances (C.4.2.1.4)."""
    question = Dataset()
    level = Level.INSTANCE if sop_instance_uids else Level.SERIES
    _add(question, "QueryRetrieveLevel", "CS", LEVEL_WORDS[level])
    _add(question, "StudyInstanceUID", "UI", study_instance_uid)
    _add(question, "SeriesInstanceUID", "UI", series_instance_uid)
    if sop_instance_uids:
        _add(question, "SOPInstanceUID", "UI", "\\".join(sop_instance_uids))
    return question
