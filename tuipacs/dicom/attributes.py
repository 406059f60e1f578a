"""The indexed attributes of a dataset, read without decoding the rest.

The reference is pydicom: on every dataset that it can read the values are the same, apart from
texts that are too long for the index and numbers that are none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tuipacs.dicom import deflated
from tuipacs.dicom.charset import Charset, charset_of
from tuipacs.dicom.encoding import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    NATIVE,
    REFERENCED,
    UNDEFINED,
    Buffer,
    is_vr_letters,
)
from tuipacs.dicom.form import Form, form_of
from tuipacs.dicom.indexed_tags import (
    DIRECTORY_RECORDS_TAG,
    REQUEST_TAGS,
    TAGS,
    Indexed,
    Target,
    keys_of,
)
from tuipacs.dicom.values import integer_of, keyword, text_of
from tuipacs.dicom.walk import Walked, walk
from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.find import CHARACTER_SET_TAG
from tuipacs.domain.find_object import REQUESTS_TAG
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, MAX_UID_LENGTH, derived_uid, is_usable_uid
from tuipacs.errors import InvalidObjectError

_INTEGER_FIELDS = frozenset(
    ("number_of_frames", "rows", "columns", "bits_allocated", "samples_per_pixel")
)
_NOT_ALL_INFLATED = "only the first 16 MiB of the deflated dataset were looked at"
_NOT_ALL_CHECKED = "the deflated dataset was not checked beyond 64 MiB"


class _Keys(NamedTuple):
    """The tables in one byte order."""

    indexed: dict[bytes, Indexed]
    wanted: frozenset[bytes]
    requests: dict[bytes, Indexed]
    requests_wanted: frozenset[bytes]
    charset: bytes
    item: bytes
    above: tuple[bytes, ...]  # what a patient, a study and a series are read from
    above_only: frozenset[bytes]  # and nothing else


def read_attributes(
    dataset: Buffer, transfer_syntax_uid: str, *, assumed_character_set: str = ""
) -> IndexedAttributes:
    """Read the indexed attributes of one dataset (without preamble and file meta information).

    ``transfer_syntax_uid`` is what the sender or the file claims. If the bytes say otherwise among
    the uncompressed syntaxes, ``instance.transfer_syntax_uid`` of the result is the real one, and a
    remark tells. ``assumed_character_set`` (a Defined Term) serves where the dataset names none.

    ``remarks`` is for a person: damage that does not prevent keeping the object, never values.

    An object without Study or Series Instance UID gets made-up ones to be filed under.

    Raises :class:`InvalidObjectError`, and nothing else, if the object cannot be kept: a DICOMDIR;
    no SOP Class or SOP Instance UID, or an unusable UID; a dataset that ends inside an indexed
    attribute; sequences nested more than 32 deep; a damaged deflated dataset.
    """
    remarks: dict[str, None] = {}
    claimed = transfer_syntax_uid
    if claimed in DEFLATED:
        form, walked = _walk_deflated(dataset, remarks)
        actual = claimed
    else:
        form = form_of(dataset, 0, claimed)
        walked = _walk(dataset, form)
        actual = _actual_syntax(claimed, form, remarks)
    if form.start:
        remarks["command elements (group 0000) stand before the dataset"] = None
    remarks.update(dict.fromkeys(walked.remarks))
    return _build(walked, form, actual, assumed_character_set, remarks)


def _build(
    walked: Walked, form: Form, syntax: str, assumed: str, remarks: dict[str, None]
) -> IndexedAttributes:
    keys = _KEYS[form.big_endian]
    values = walked.values
    above_key = (form.big_endian, form.implicit, assumed, *map(values.get, keys.above))
    above = _known_above.get(above_key)
    said = len(remarks)
    charset = _charset(values.get(keys.charset), assumed, remarks)
    read = _Read(({}, {}, {}, {}), {})
    for key, (vr, raw) in values.items():
        if above is None or key not in keys.above_only:
            _read_value(keys.indexed[key], vr, raw, form, charset, read, remarks)
    if above is not None:
        _check_instance(read.texts[Target.INSTANCE], remarks)
    else:
        above = _above(read, remarks, is_whole=walked.has_pixels or not walked.is_cut_short)
        if len(remarks) == said and not _is_long(above_key):
            if len(_known_above) >= _MOST_KNOWN:
                _known_above.clear()
            _known_above[above_key] = above
    samples = read.numbers.pop(_SAMPLES, 1)
    instance = InstanceAttributes(
        transfer_syntax_uid=syntax,
        **read.texts[Target.INSTANCE],  # type: ignore[arg-type]  # the texts
        **read.numbers,  # type: ignore[arg-type]  # the numbers
    )
    _check_pixels(walked, instance, samples, remarks)
    return IndexedAttributes(
        patient=above.patient,
        study=above.study,
        series=above.series,
        instance=instance,
        remarks=tuple(remarks),
    )


class _Read(NamedTuple):
    """Values by field: texts for each target, and the numbers of the instance."""

    texts: tuple[dict[str, str], ...]
    numbers: dict[str, int]


_SAMPLES = "samples_per_pixel"


def _read_value(
    indexed: Indexed,
    vr: bytes,
    raw: bytes,
    form: Form,
    charset: Charset,
    read: _Read,
    remarks: dict[str, None],
) -> None:
    if vr != indexed.vr and vr and vr != b"UN":
        remarks[f"{keyword(indexed)} has another VR than the standard says"] = None
    if indexed.field in _INTEGER_FIELDS:
        read.numbers[indexed.field] = integer_of(indexed, vr, raw, form.big_endian, remarks)
    elif indexed.target != Target.READER:
        read.texts[indexed.target][indexed.field] = text_of(indexed, raw, charset, remarks)
    elif indexed.tag == REQUESTS_TAG:
        _read_request(raw, vr, form, charset, read.texts[Target.SERIES], remarks)
    elif indexed.tag == DIRECTORY_RECORDS_TAG:
        raise InvalidObjectError("this is a DICOMDIR: an index of other files, no object")


def _above(read: _Read, remarks: dict[str, None], *, is_whole: bool) -> _Above:
    _check_uids(read.texts, remarks, is_whole=is_whole)
    if not read.texts[Target.PATIENT].get("patient_id"):
        remarks["PatientID is missing"] = None
    return _Above(
        PatientAttributes(**read.texts[Target.PATIENT]),
        StudyAttributes(**read.texts[Target.STUDY]),
        SeriesAttributes(**read.texts[Target.SERIES]),
    )


class _Above(NamedTuple):
    """What the objects of one series have in common."""

    patient: PatientAttributes
    study: StudyAttributes
    series: SeriesAttributes


_MOST_KNOWN = 64
_LONGEST_KNOWN = 4096  # bytes of values
_known_above: dict[tuple[Any, ...], _Above] = {}
"""By the very bytes of all values above the instance: most objects repeat those of the last one.

Only what was read without a remark is kept here. Any thread may add to it or empty it.
"""


def _is_long(above_key: tuple[Any, ...]) -> bool:
    return sum(len(value[1]) for value in above_key[3:] if value) > _LONGEST_KNOWN


def _check_instance(instance: dict[str, str], remarks: dict[str, None]) -> None:
    """`_check_uids` for an instance of a known series."""
    for field, name in _INSTANCE_UIDS:
        _check_uid(instance.get(field, ""), name, remarks)


_INSTANCE_UIDS = (("sop_class_uid", "SOP Class UID"), ("sop_instance_uid", "SOP Instance UID"))


def _check_uid(uid: str, name: str, remarks: dict[str, None]) -> None:
    if not uid:
        raise InvalidObjectError(f"the dataset has no {name}")
    if not is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH):
        raise InvalidObjectError(f"the {name} is not usable as one")
    if len(uid) > MAX_UID_LENGTH:
        remarks[f"the {name} is longer than {MAX_UID_LENGTH} characters"] = None


def _check_uids(
    fields: tuple[dict[str, str], ...], remarks: dict[str, None], *, is_whole: bool
) -> None:
    """See `read_attributes`. Unless the header ``is_whole``, what is missing may follow."""
    for target, field, name in (
        (Target.INSTANCE, "sop_class_uid", "SOP Class UID"),
        (Target.INSTANCE, "sop_instance_uid", "SOP Instance UID"),
        (Target.STUDY, "study_instance_uid", "Study Instance UID"),
        (Target.SERIES, "series_instance_uid", "Series Instance UID"),
    ):
        uid = fields[target].get(field, "")
        if not uid and is_whole and target in (Target.STUDY, Target.SERIES):
            fields[target][field] = _stand_in(target, fields)
            remarks[f"the dataset has no {name}: filed under a made-up one"] = None
        else:
            _check_uid(uid, name, remarks)


def _stand_in(target: Target, fields: tuple[dict[str, str], ...]) -> str:
    """A UID to file an object under that has none, as a hanging protocol has by its IOD.

    The same for all such objects of one patient; an object without patient stays alone.
    """
    patient, instance = fields[Target.PATIENT], fields[Target.INSTANCE]
    whose = (patient.get("patient_id", ""), patient.get("issuer_of_patient_id", ""))
    if not whose[0]:
        whose = ("", instance["sop_instance_uid"])
    if target == Target.STUDY:
        return derived_uid("study", *whose)
    study = fields[Target.STUDY]["study_instance_uid"]
    return derived_uid("series", study, instance["sop_class_uid"])


def _charset(stored: tuple[bytes, bytes] | None, assumed: str, remarks: dict[str, None]) -> Charset:
    if stored is None or not stored[1].strip(b" \0"):
        return charset_of(assumed.encode("ascii", "replace"))
    charset = charset_of(stored[1])
    if charset.remark:
        remarks[charset.remark] = None
    return charset


def _read_request(
    raw: bytes,
    vr: bytes,
    form: Form,
    charset: Charset,
    fields: dict[str, str],
    remarks: dict[str, None],
) -> None:
    """Read the first item of Request Attributes Sequence (PS3.3 10.6)."""
    keys = _KEYS[form.big_endian]
    if len(raw) < 8 or raw[:4] != keys.item:
        return
    length = int.from_bytes(raw[4:8], "big" if form.big_endian else "little")
    item = raw[8:] if length == UNDEFINED else raw[8 : 8 + length]
    implicit = form.implicit or not is_vr_letters(item[4:6] + b"..")
    try:
        walked = walk(
            item, 0, implicit=implicit, big_endian=form.big_endian, wanted=keys.requests_wanted
        )
    except InvalidObjectError:
        walked = None
    if walked is None or walked.is_cut_short:
        remarks["RequestAttributesSequence cannot be read"] = None
        return
    if keys.charset in walked.values:
        charset = _charset(walked.values[keys.charset], "", remarks)
    for key, (_vr, value) in walked.values.items():
        indexed = keys.requests[key]
        if indexed.target == Target.SERIES:
            fields[indexed.field] = text_of(indexed, value, charset, remarks)


def _check_pixels(
    walked: Walked, instance: InstanceAttributes, samples: int, remarks: dict[str, None]
) -> None:
    expected = _expected_length(instance, samples)
    if walked.has_pixels and 0 <= walked.pixel_length < expected:
        remarks["the pixel data is shorter than the image it should hold"] = None
    elif expected and not (
        walked.has_pixels or walked.is_cut_short or instance.transfer_syntax_uid in REFERENCED
    ):
        remarks["the image has no pixel data"] = None
    syntax = instance.transfer_syntax_uid
    if walked.has_pixels and walked.pixel_length >= 0 and syntax in ENCAPSULATED:
        remarks["the pixel data is not encapsulated, and its transfer syntax says it is"] = None
    elif walked.has_pixels and walked.pixel_length < 0 and syntax in NATIVE | DEFLATED:
        remarks["the pixel data is encapsulated, and its transfer syntax says it is not"] = None


def _expected_length(instance: InstanceAttributes, samples: int) -> int:
    """Bytes that native pixels need (PS3.5 8.1.1); 0 where a rule of its own applies (4:2:2)."""
    if instance.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        samples = 2
    pixels = instance.rows * instance.columns * max(1, instance.number_of_frames)
    return (pixels * samples * instance.bits_allocated + 7) // 8


def _walk(dataset: Buffer, form: Form) -> Walked:
    return walk(
        dataset,
        form.start,
        implicit=form.implicit,
        big_endian=form.big_endian,
        wanted=_KEYS[form.big_endian].wanted,
    )


def _walk_deflated(dataset: Buffer, remarks: dict[str, None]) -> tuple[Form, Walked]:
    """Walk a deflated dataset: inflate little, and more only if that did not suffice."""
    for limit in (deflated.FIRST_BYTES, deflated.MAX_BYTES):
        inflated = deflated.inflate(dataset, limit)
        form = form_of(inflated.data, 0, EXPLICIT_LE)
        try:
            walked = _walk(inflated.data, form)
        except InvalidObjectError:
            if inflated.is_complete or limit == deflated.MAX_BYTES:
                raise
            continue
        if inflated.is_complete:
            break
        if not walked.is_cut_short or limit == deflated.MAX_BYTES:
            remarks[_NOT_ALL_INFLATED] = None
            walked = walked._replace(remarks=[], is_cut_short=False)
            break
    if not inflated.is_complete and not deflated.check(dataset):
        remarks[_NOT_ALL_CHECKED] = None
    return form, walked


def _actual_syntax(claimed: str, form: Form, remarks: dict[str, None]) -> str:
    actual = EXPLICIT_BE if form.big_endian else IMPLICIT_LE if form.implicit else EXPLICIT_LE
    expected = claimed if claimed in NATIVE else EXPLICIT_LE
    if actual == expected:
        return claimed
    remarks["the dataset is not encoded as its transfer syntax says"] = None
    return actual if claimed in NATIVE else claimed


def _keys(*, big_endian: bool) -> _Keys:
    indexed = keys_of(TAGS, big_endian=big_endian)
    requests = keys_of(REQUEST_TAGS, big_endian=big_endian)
    item = b"\xff\xfe\xe0\x00" if big_endian else b"\xfe\xff\x00\xe0"
    charset = next(key for key, element in requests.items() if element.tag == CHARACTER_SET_TAG)
    above_only = frozenset(
        key
        for key, element in indexed.items()
        if element.target <= Target.SERIES or element.tag == REQUESTS_TAG
    )
    above = (*sorted(above_only), charset)
    return _Keys(
        indexed,
        frozenset(indexed),
        requests,
        frozenset(requests),
        charset,
        item,
        above,
        above_only,
    )


_KEYS = {False: _keys(big_endian=False), True: _keys(big_endian=True)}
