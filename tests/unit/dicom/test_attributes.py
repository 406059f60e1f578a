"""The index holds what is in the object, and nothing that is not kept gets a good answer."""

from __future__ import annotations

import mmap
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.part10 import read_part10
from tuipacs.dicom.values import MAX_LONG_TEXT, MAX_TEXT
from tuipacs.domain.uid import is_valid_uid
from tuipacs.errors import InvalidObjectError

from .datasets import (
    BIG,
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    UNDEFINED,
    dataset,
    element,
    item,
    marker,
    number,
    sequence,
    text,
)

SYNTAXES = [IMPLICIT, EXPLICIT, BIG]


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def pixels(data: bytes, *, syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    bits = number(0x00280100, 16, syntax=syntax)
    return bits + element(0x7FE00010, "OW", data, syntax=syntax, length=length)


def fragments(*bodies: bytes, closed: bool = True) -> bytes:
    items = b"".join(marker(0xE000, len(body)) + body for body in bodies)
    return element(
        0x7FE00010, "OB", items + (marker(0xE0DD, 0) if closed else b""), length=UNDEFINED
    )


def nested(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = sequence(0x00081115, item(body, length=UNDEFINED), length=UNDEFINED)
    return body


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_are_read_in_each_encoding(syntax: str) -> None:
    read = read_attributes(dataset(syntax=syntax), syntax)
    assert read.patient.patient_name == "Doe^Jane"
    assert read.patient.patient_id == "P-1"
    assert read.study.study_instance_uid == "1.2.3.1"
    assert read.series.series_instance_uid == "1.2.3.1.1"
    assert read.series.modality == "CT"
    assert read.instance.sop_instance_uid == "1.2.3.1.1.1"
    assert read.instance.sop_class_uid == CT
    assert read.instance.transfer_syntax_uid == syntax
    assert (read.instance.rows, read.instance.columns) == (2, 3)
    assert read.remarks == ()


def test_a_deflated_dataset_is_read() -> None:
    read = read_attributes(deflate(dataset(after=pixels(b"\0" * 12))), DEFLATED)
    assert read.patient.patient_name == "Doe^Jane"
    assert read.instance.transfer_syntax_uid == DEFLATED
    assert read.remarks == ()


def test_bytes_views_and_mappings_read_the_same(tmp_path: Path) -> None:
    data = dataset(after=fragments(b"", b"1234"))
    path = tmp_path / "dataset"
    path.write_bytes(data)
    expected = read_attributes(data, JPEG)
    assert read_attributes(memoryview(data), JPEG) == expected
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        assert read_attributes(mapping, JPEG) == expected


def test_trailing_padding_of_a_uid_is_ignored() -> None:
    for padding in (b"\0", b" ", b" \0"):
        raw = b"1.2.3.9" + padding
        data = dataset(omit=frozenset([0x0020000D]), middle=element(0x0020000D, "UI", raw))
        assert read_attributes(data, EXPLICIT).study.study_instance_uid == "1.2.3.9"


@pytest.mark.parametrize("raw", [b" P-1", b"  P-1 ", b"P-1 \0"])
def test_spaces_around_a_patient_id_do_not_make_another_patient(raw: bytes) -> None:
    """PS3.5 6.2: LO, SH, CS, AE and PN may be padded with leading and trailing spaces."""
    data = dataset(omit=frozenset([0x00100020]), middle=element(0x00100020, "LO", raw))
    assert read_attributes(data, EXPLICIT).patient.patient_id == "P-1"


def test_spaces_at_the_start_of_a_comment_are_part_of_it() -> None:
    """PS3.5 6.2: leading spaces of LT are significant."""
    data = dataset(middle=element(0x00104000, "LT", b"  indented"))
    assert read_attributes(data, EXPLICIT).patient.patient_comments == "  indented"


def test_spaces_around_each_of_several_values_are_ignored() -> None:
    data = dataset(middle=element(0x00080008, "CS", b"DERIVED \\ PRIMARY"))
    assert read_attributes(data, EXPLICIT).instance.image_type == "DERIVED\\PRIMARY"


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00080016, "SOP Class UID"),
        (0x00080018, "SOP Instance UID"),
    ],
)
def test_an_object_without_one_of_its_uids_is_refused(tag: int, name: str) -> None:
    with pytest.raises(InvalidObjectError, match=f"has no {name}"):
        read_attributes(dataset(omit=frozenset([tag])), EXPLICIT)
    empty = dataset(omit=frozenset([tag]), before=element(tag, "UI", b""))
    with pytest.raises(InvalidObjectError, match=f"has no {name}"):
        read_attributes(empty, EXPLICIT)


@pytest.mark.parametrize("present", [False, True])
def test_an_object_without_study_is_filed_under_a_made_up_one_and_remarked(present: bool) -> None:
    """A hanging protocol has none by its IOD; a sloppy sender leaves it empty: neither is lost."""
    empty = element(0x0020000D, "UI", b"") if present else b""
    bare = dataset(omit=frozenset([0x0020000D]), middle=empty)
    read = read_attributes(bare, EXPLICIT)
    assert is_valid_uid(read.study.study_instance_uid)
    assert "the dataset has no Study Instance UID: filed under a made-up one" in read.remarks
    assert read_attributes(bare, EXPLICIT) == read


def test_objects_without_study_of_two_patients_are_not_filed_together() -> None:
    studies = {
        read_attributes(
            dataset(omit=frozenset([0x0020000D, 0x0020000E]), patient_id=patient), EXPLICIT
        ).study.study_instance_uid
        for patient in ("A", "B")
    }
    assert len(studies) == 2


@pytest.mark.parametrize(
    "uid", ["1" * 129, "1.2\x1b[2J", "../../../etc/x", "1.2\\1.3", "1.2 3", "1.*"]
)
def test_an_unusable_uid_is_refused(uid: str) -> None:
    with pytest.raises(InvalidObjectError, match="not usable"):
        read_attributes(dataset(study_instance_uid=uid), EXPLICIT)


def test_a_uid_that_is_somewhat_too_long_is_kept_with_a_remark() -> None:
    """Such objects exist, and DCMTK and others take them."""
    read = read_attributes(dataset(study_instance_uid="1." + "2" * 68), EXPLICIT)
    assert read.study.study_instance_uid == "1." + "2" * 68
    assert "the Study Instance UID is longer than 64 characters" in read.remarks


def test_a_refusal_never_shows_values() -> None:
    with pytest.raises(InvalidObjectError) as caught:
        read_attributes(dataset(study_instance_uid="SECRET NAME"), EXPLICIT)
    assert "SECRET" not in caught.value.message


def test_a_missing_patient_id_is_kept_and_remarked() -> None:
    read = read_attributes(dataset(omit=frozenset([0x00100020])), EXPLICIT)
    assert read.patient.patient_id == ""
    assert read.remarks == ("PatientID is missing",)


def test_a_dicomdir_is_refused_as_one() -> None:
    path = get_testdata_file("DICOMDIR", download=False)
    assert isinstance(path, str)
    parts = read_part10(Path(path))
    data = Path(path).read_bytes()[parts.dataset_offset :]
    with pytest.raises(InvalidObjectError, match="DICOMDIR"):
        read_attributes(data, parts.transfer_syntax_uid)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("claimed", SYNTAXES)
def test_a_wrong_transfer_syntax_is_found_and_remarked(syntax: str, claimed: str) -> None:
    read = read_attributes(dataset(syntax=syntax), claimed)
    assert read.instance.transfer_syntax_uid == syntax
    assert read.patient.patient_name == "Doe^Jane"
    assert bool(read.remarks) == (syntax != claimed)


def test_a_compressed_syntax_stays_what_it_is() -> None:
    read = read_attributes(dataset(syntax=IMPLICIT), JPEG)
    assert read.instance.transfer_syntax_uid == JPEG
    assert read.remarks == ("the dataset is not encoded as its transfer syntax says",)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("length", [None, UNDEFINED])
def test_the_request_is_read_from_its_sequence(syntax: str, length: int | None) -> None:
    request = text(0x00400009, "SH", "SPS-7", syntax=syntax) + text(
        0x00401001, "SH", "RP-9", syntax=syntax
    )
    second = text(0x00401001, "SH", "RP-X", syntax=syntax)
    after = sequence(
        0x00400275,
        item(request, length=length, syntax=syntax),
        item(second, length=length, syntax=syntax),
        length=length,
        syntax=syntax,
    )
    read = read_attributes(dataset(syntax=syntax, after=after), syntax)
    assert read.series.requested_procedure_id == "RP-9"
    assert read.series.scheduled_procedure_step_id == "SPS-7"
    assert read.remarks == ()


def test_an_identifier_inside_a_sequence_is_not_the_object_s_own() -> None:
    inner = text(0x00080018, "UI", "9.9.9") + text(0x00100020, "LO", "OTHER")
    for length in (None, UNDEFINED):
        middle = sequence(0x00101002, item(inner, length=length), length=length)
        read = read_attributes(dataset(middle=middle), EXPLICIT)
        assert read.patient.patient_id == "P-1"
        assert read.instance.sop_instance_uid == "1.2.3.1.1.1"


def test_unknown_sequences_with_implicit_content_are_passed() -> None:
    """UN of undefined length holds implicit VR (PS3.5 6.2.2)."""
    inner = text(0x00100020, "LO", "OTHER", syntax=IMPLICIT)
    deeper = sequence(0x00091002, item(inner, length=UNDEFINED), length=UNDEFINED, syntax=IMPLICIT)
    middle = sequence(0x00091001, item(deeper, length=UNDEFINED), vr="UN", length=UNDEFINED)
    assert read_attributes(dataset(middle=middle), EXPLICIT).study.study_instance_uid == "1.2.3.1"


def test_an_attribute_sent_as_un_is_read() -> None:
    data = dataset(
        omit=frozenset([0x00100020, 0x00280010]),
        middle=element(0x00100020, "UN", b"P-2 "),
        after=element(0x00280010, "UN", b"\7\0"),
    )
    read = read_attributes(data, EXPLICIT)
    assert (read.patient.patient_id, read.instance.rows, read.remarks) == ("P-2", 7, ())


def test_a_wrong_vr_is_read_and_remarked() -> None:
    data = dataset(omit=frozenset([0x00100020]), middle=text(0x00100020, "CS", "P-2"))
    read = read_attributes(data, EXPLICIT)
    assert read.patient.patient_id == "P-2"
    assert read.remarks == ("PatientID has another VR than the standard says",)


def test_a_vr_nobody_knows_does_not_stop_the_reading() -> None:
    middle = text(0x00110010, "ZZ", "whatever")
    assert read_attributes(dataset(middle=middle), EXPLICIT).patient.patient_id == "P-1"


def test_elements_out_of_order_are_found() -> None:
    data = dataset(omit=frozenset([0x00100020]), after=text(0x00100020, "LO", "LATE"))
    assert read_attributes(data, EXPLICIT).patient.patient_id == "LATE"


def test_elements_behind_the_pixel_data_are_found() -> None:
    late = text(0x00100020, "LO", "LATE")
    for stored in (pixels(b"\0" * 12), fragments(b"", b"1234")):
        data = dataset(omit=frozenset([0x00100020]), after=stored + late)
        assert read_attributes(data, JPEG).patient.patient_id == "LATE"


def test_of_an_element_that_is_there_twice_the_last_counts() -> None:
    read = read_attributes(dataset(middle=text(0x00100020, "LO", "P-2")), EXPLICIT)
    assert read.patient.patient_id == "P-2"
    assert read.remarks == ("element (0010,0020) is there twice; the last one counts",)


def test_command_elements_before_the_dataset_are_passed_and_remarked() -> None:
    command = element(0x00000002, "UI", b"1.2 ", syntax=IMPLICIT)
    read = read_attributes(command + dataset(), EXPLICIT)
    assert read.patient.patient_id == "P-1"
    assert read.remarks == ("command elements (group 0000) stand before the dataset",)


def test_a_whole_file_in_place_of_a_dataset_is_refused() -> None:
    with pytest.raises(InvalidObjectError, match="whole file"):
        read_attributes(b"\0" * 128 + b"DICM" + dataset(), EXPLICIT)


@pytest.mark.parametrize("claimed", [100, 0xFFF0])
def test_a_dataset_that_ends_inside_an_indexed_attribute_is_refused(claimed: int) -> None:
    data = dataset(after=element(0x00380010, "LO", b"short ", length=claimed))
    with pytest.raises(InvalidObjectError, match=r"ends inside element \(0038,0010\)"):
        read_attributes(data, EXPLICIT)


@pytest.mark.parametrize("claimed", [100, 0xFFFFFFF0, 0xFFFFFFFE])
def test_a_dataset_that_ends_elsewhere_is_remarked(claimed: int) -> None:
    data = dataset(after=element(0x00450010, "OB", b"short ", length=claimed))
    read = read_attributes(data, EXPLICIT)
    assert read.remarks == ("the dataset ends inside element (0045,0010)",)


def test_no_cut_dataset_is_taken_for_a_whole_one() -> None:
    """Cut at any byte from Series Instance UID on: refused, or kept with a remark."""
    data = dataset(after=pixels(b"\0" * 12))
    before_bits = {len(data) - 24 - 10 * back for back in (1, 2, 3)}
    for cut in range(len(data) - 24 - 40, len(data)):
        if cut in before_bits:
            continue  # what is left is a whole dataset that holds no image
        try:
            read = read_attributes(data[:cut], EXPLICIT)
        except InvalidObjectError:
            continue
        assert read.remarks, cut


def test_an_image_without_pixel_data_is_remarked() -> None:
    read = read_attributes(dataset(after=number(0x00280100, 16)), EXPLICIT)
    assert read.remarks == ("the image has no pixel data",)


def test_pixel_data_cut_short_is_kept_and_remarked() -> None:
    read = read_attributes(dataset(after=pixels(b"\0" * 5, length=12)), EXPLICIT)
    assert read.remarks == ("the pixel data is cut short",)


def test_pixel_data_too_short_for_its_image_is_remarked() -> None:
    assert read_attributes(dataset(after=pixels(b"\0" * 12)), EXPLICIT).remarks == ()
    read = read_attributes(dataset(after=pixels(b"\0" * 10)), EXPLICIT)
    assert read.remarks == ("the pixel data is shorter than the image it should hold",)


@pytest.mark.parametrize(
    ("after", "syntax", "remarked"),
    [
        (pixels(b"\0" * 12), JPEG, "not encapsulated, and its transfer syntax says it is"),
        (fragments(b"", b"1234"), EXPLICIT, "encapsulated, and its transfer syntax says it is not"),
        (fragments(b"", b"1234"), JPEG, ""),
        (pixels(b"\0" * 12), EXPLICIT, ""),
        (pixels(b"\0" * 12), "1.2.840.113619.5.2", ""),
    ],
)
def test_pixel_data_that_contradicts_its_transfer_syntax_is_remarked(
    after: bytes, syntax: str, remarked: str
) -> None:
    """PS3.5 A.4: a sender that took a compressed syntax and sent what it had."""
    remarks = read_attributes(dataset(after=after), syntax).remarks
    assert remarks == ((f"the pixel data is {remarked}",) if remarked else ())


def test_encapsulated_pixel_data_is_followed_to_its_end() -> None:
    assert read_attributes(dataset(after=fragments(b"", b"12", b"3456")), JPEG).remarks == ()
    cut = ("the pixel data is cut short",)
    assert read_attributes(dataset(after=fragments(b"", b"12", closed=False)), JPEG).remarks == cut
    whole = dataset(after=fragments(b"", b"123456"))
    assert read_attributes(whole[:-10], JPEG).remarks == cut


@pytest.mark.parametrize("depth", [33, 500, 5000])
def test_too_deep_sequences_are_refused(depth: int) -> None:
    with pytest.raises(InvalidObjectError, match="nested more than 32 deep"):
        read_attributes(dataset(middle=nested(depth)), EXPLICIT)


def test_deep_sequences_are_passed() -> None:
    assert read_attributes(dataset(middle=nested(31)), EXPLICIT).remarks == ()


def test_a_sequence_without_end_is_remarked_or_refused() -> None:
    endless = element(0x30060010, "SQ", item(b""), length=UNDEFINED)
    read = read_attributes(dataset(after=endless), EXPLICIT)
    assert read.remarks == ("the dataset ends inside element (3006,0010)",)
    with pytest.raises(InvalidObjectError):
        read_attributes(
            dataset(middle=element(0x00101002, "SQ", item(b""), length=UNDEFINED)), EXPLICIT
        )


def test_a_million_elements_end_the_reading_with_a_remark() -> None:
    tail = number(0x00450001, 1) * 100_000
    read = read_attributes(dataset(after=tail), EXPLICIT)
    assert read.remarks == ("there are more than 50,000 elements; the rest was not looked at",)
    many = sequence(0x30060010, item(tail, length=UNDEFINED), length=UNDEFINED)
    assert read_attributes(dataset(after=many), EXPLICIT).remarks == read.remarks
    with pytest.raises(InvalidObjectError):
        read_attributes(dataset(middle=tail), EXPLICIT)


def test_a_deflate_bomb_is_stopped() -> None:
    """80 MiB of zeros in 80 kB: the attributes are read, the rest is neither kept nor finished."""
    bomb = deflate(dataset(after=pixels(b"\0" * (80 << 20))))
    read = read_attributes(bomb, DEFLATED)
    assert read.patient.patient_id == "P-1"
    assert "the deflated dataset was not checked beyond 64 MiB" in read.remarks


def test_a_bomb_before_the_attributes_is_refused() -> None:
    bomb = deflate(element(0x00080001, "OB", b"\0" * (20 << 20)) + dataset())
    with pytest.raises(InvalidObjectError):
        read_attributes(bomb, DEFLATED)


def test_a_damaged_deflated_dataset_is_refused() -> None:
    whole = deflate(dataset(after=pixels(bytes(range(256)) * 4000)))
    for damaged in (whole[:-3], whole[: len(whole) // 2], b"\xff" * 40, dataset()):
        with pytest.raises(InvalidObjectError):
            read_attributes(damaged, DEFLATED)


def test_damage_far_behind_the_attributes_is_found() -> None:
    """Beyond the 16 MiB that are kept, a deflated dataset is still inflated to its end mark."""
    whole = deflate(dataset(after=pixels(b"\0" * (20 << 20))))
    assert "only the first 16 MiB" in read_attributes(whole, DEFLATED).remarks[0]
    with pytest.raises(InvalidObjectError):
        read_attributes(whole[:-3], DEFLATED)


@pytest.mark.parametrize(
    "value", [b"1e400 ", b"NaN ", b"inf ", b"-1", b"99999999999 ", b"1\\2 ", b"\x1b[2J"]
)
def test_an_absurd_number_of_frames_is_none(value: bytes) -> None:
    read = read_attributes(dataset(after=element(0x00280008, "IS", value)), EXPLICIT)
    assert read.instance.number_of_frames == 0
    assert read.remarks == ("NumberOfFrames is not a number that makes sense",)


@pytest.mark.parametrize(("value", "frames"), [(b"12", 12), (b" 7 \0", 7), (b"", 0), (b"+3", 3)])
def test_the_number_of_frames_is_read(value: bytes, frames: int) -> None:
    read = read_attributes(dataset(after=element(0x00280008, "IS", value)), EXPLICIT)
    assert (read.instance.number_of_frames, read.remarks) == (frames, ())


def test_rows_of_three_bytes_are_none() -> None:
    data = dataset(omit=frozenset([0x00280010]), after=element(0x00280010, "US", b"\1\2\3"))
    read = read_attributes(data, EXPLICIT)
    assert read.instance.rows == 0
    assert read.remarks == ("Rows has not the length of one number",)


def test_texts_follow_the_character_set() -> None:
    read = read_attributes(dataset(name=b"Buc^J\xe9r\xf4me"), EXPLICIT)
    assert read.patient.patient_name == "Buc^Jérôme"
    utf8 = dataset(name="王^小東".encode(), charset="ISO_IR 192")
    assert read_attributes(utf8, EXPLICIT).patient.patient_name == "王^小東"


def test_all_groups_of_a_name_are_kept() -> None:
    read = read_attributes(dataset(name=b"Yamada^Tarou=A^B=C^D"), EXPLICIT)
    assert read.patient.patient_name == "Yamada^Tarou=A^B=C^D"


def test_an_unknown_character_set_is_remarked() -> None:
    read = read_attributes(dataset(charset="ISO_IR 4711"), EXPLICIT)
    assert read.patient.patient_name == "Doe^Jane"
    assert read.remarks == ("unknown character set",)


def test_a_node_s_character_set_serves_where_none_is_named() -> None:
    data = dataset(name="Müller".encode(), charset="")
    assert read_attributes(data, EXPLICIT).remarks != ()
    read = read_attributes(data, EXPLICIT, assumed_character_set="ISO_IR 192")
    assert (read.patient.patient_name, read.remarks) == ("Müller", ())


def test_endless_texts_are_cut_for_the_index() -> None:
    read = read_attributes(
        dataset(
            syntax=IMPLICIT,
            name=b"A" * 65536,
            middle=b"".join([text(0x00104000, "LT", "B" * 20000, syntax=IMPLICIT)]),
        ),
        IMPLICIT,
    )
    assert read.patient.patient_name == "A" * MAX_TEXT
    assert read.patient.patient_comments == "B" * MAX_LONG_TEXT
    assert read.remarks == (
        f"PatientName was cut to {MAX_TEXT} characters for the index",
        f"PatientComments was cut to {MAX_LONG_TEXT} characters for the index",
    )


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 7, b"\0" * 200, b"\xff" * 200, b"hello world, hello"]
)
def test_what_is_no_dataset_is_refused(data: bytes) -> None:
    for syntax in (*SYNTAXES, DEFLATED, JPEG, "1.2.3", ""):
        with pytest.raises(InvalidObjectError):
            read_attributes(data, syntax)


_REQUEST = sequence(
    0x00400275, item(text(0x00401001, "SH", "R"), length=UNDEFINED), length=UNDEFINED
)
_SEEDS = [
    (dataset(syntax=syntax, after=pixels(b"\0" * 12, syntax=syntax)), syntax) for syntax in SYNTAXES
] + [
    (dataset(middle=nested(3), after=_REQUEST + fragments(b"", b"1234")), JPEG),
    (deflate(dataset(after=_REQUEST)), DEFLATED),
]


@settings(max_examples=300)
@given(
    st.sampled_from(_SEEDS),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 10_000),
)
def test_mutated_datasets_are_read_or_refused(
    seed: tuple[bytes, str], changes: list[tuple[int, bytes]], cut: int
) -> None:
    """Whatever bytes change, there is an answer or an InvalidObjectError, never anything else."""
    data = bytearray(seed[0])
    for position, change in changes:
        start = position % len(data)
        data[start : start + len(change)] = change
    if cut < len(data):
        del data[cut:]
    try:
        read = read_attributes(bytes(data), seed[1])
    except InvalidObjectError as error:
        assert error.message
        return
    assert read.instance.sop_instance_uid


@given(st.binary(max_size=200), st.sampled_from([*SYNTAXES, DEFLATED, JPEG]), st.booleans())
def test_random_bytes_are_read_or_refused(data: bytes, syntax: str, inside: bool) -> None:
    whole = dataset(syntax=syntax if syntax in SYNTAXES else EXPLICIT, after=data)
    try:
        read_attributes(whole if inside else data, syntax)
    except InvalidObjectError as error:
        assert error.message


@given(st.integers(0, 0xFFFFFFFF), st.sampled_from(["OB", "SQ", "UN", "UT", "OW"]))
def test_no_claimed_length_is_believed(length: int, vr: str) -> None:
    data = dataset(middle=element(0x00101002, vr, b"\0" * 8, length=length))
    try:
        read_attributes(data, EXPLICIT)
    except InvalidObjectError:
        assert length != 8
