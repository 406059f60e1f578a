"""The identifier of a C-MOVE or C-GET (PS3.4 C.4.2.1.4.1, C.4.3.1.3.1): which objects it names.

It has a level, the unique key of that level, which may be a list of UIDs, and single values of
those above. Other keys name nothing: they are passed over, if they are not below the level.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.dicom.tree import tag_text
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    PATIENT_ID_TAG,
    RETRIEVE_AE_TAG,
    SERIES_UID_TAG,
    SOP_INSTANCE_UID_TAG,
    STUDY_UID_TAG,
    UNIQUE_KEYS,
    FindModel,
    FindQuery,
)
from tuipacs.domain.find_match import OneOf
from tuipacs.domain.level import Level
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import QueryModelError

ISSUER_TAG = 0x00100021


@dataclass(frozen=True, kw_only=True)
class RetrieveKeys:
    """What is retrieved; every key that is given restricts. ``words`` hold PHI.

    ``patient_id`` is None where none was given, and so is its ``issuer``.
    """

    level: Level
    patient_id: str | None
    issuer: str | None
    studies: tuple[str, ...]
    series: tuple[str, ...]
    instances: tuple[str, ...]
    words: str


def read_retrieve_identifier(
    identifier: bytes | bytearray,
    transfer_syntax_uid: str,
    model: FindModel,
    *,
    is_relational: bool = False,
    assumed_character_set: str = "",
) -> RetrieveKeys:
    """Read what is to be retrieved by ``model``; ``is_relational``: as was negotiated.

    Raises `QueryModelError` for what the model does not allow, `InvalidQueryError` for what cannot
    be understood; neither carries a value.
    """
    query = read_identifier(
        identifier,
        transfer_syntax_uid,
        model,
        constants={RETRIEVE_AE_TAG: "", AVAILABILITY_TAG: ""},
        is_relational=is_relational,
        assumed_character_set=assumed_character_set,
    )
    if query.below:
        tag = query.below[0].key.tag
        raise QueryModelError(f"{tag_text(tag)} is below the level", tag=tag)
    unique = UNIQUE_KEYS[query.level]
    if not _values(query, unique):
        raise QueryModelError(f"{tag_text(unique)} has to name what is retrieved", tag=unique)
    patient_ids, issuers = _values(query, PATIENT_ID_TAG), _values(query, ISSUER_TAG)
    return RetrieveKeys(
        level=query.level,
        patient_id=patient_ids[0] if patient_ids else None,
        issuer=issuers[0] if issuers else None,
        studies=_uids(query, STUDY_UID_TAG),
        series=_uids(query, SERIES_UID_TAG),
        instances=_uids(query, SOP_INSTANCE_UID_TAG),
        words=query.words,
    )


def _values(query: FindQuery, tag: int) -> tuple[str, ...]:
    """The values of a key, none if it is empty. Raises `QueryModelError` for wildcards."""
    condition = query.condition(tag)
    if condition is None:
        return ()
    if not isinstance(condition, OneOf):
        raise QueryModelError(f"{tag_text(tag)} has to be a value, without wildcards", tag=tag)
    return tuple(sorted(condition.values))


def _uids(query: FindQuery, tag: int) -> tuple[str, ...]:
    uids = _values(query, tag)
    if not all(is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH) for uid in uids):
        raise QueryModelError(f"{tag_text(tag)} is not a UID", tag=tag)
    return uids
