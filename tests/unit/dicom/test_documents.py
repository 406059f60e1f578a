"""Reports, documents, waveforms and the rest are readable texts, and never a crash."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from tuipacs.dicom.documents import read_document, read_encapsulated
from tuipacs.dicom.kinds import kind_of
from tuipacs.dicom.part10 import encode_header
from tuipacs.domain.content import DocumentKind
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DecodeError, InvalidObjectError

from .datasets import EXPLICIT, UNDEFINED, element, item, sequence, text

STORAGE = "1.2.840.10008.5.1.4.1.1."
PDF, CDA, STL = STORAGE + "104.1", STORAGE + "104.2", STORAGE + "104.3"


def bundled(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path)


def write(path: Path, sop_class_uid: str, *elements: bytes) -> Path:
    header = encode_header(
        sop_class_uid=sop_class_uid, sop_instance_uid="1.2.3", transfer_syntax_uid=EXPLICIT
    )
    head = text(0x00080005, "CS", "ISO_IR 192") + text(0x00080016, "UI", sop_class_uid)
    path.write_bytes(header + head + b"".join(elements))
    return path


def encapsulate(
    path: Path, sop_class_uid: str, data: bytes, media_type: str, *, told: int | None = None
) -> Path:
    padded = data + b"\0" if len(data) % 2 else data
    length = b"" if told is None else element(0x00420015, "UL", struct.pack("<L", told))
    return write(
        path,
        sop_class_uid,
        text(0x00420010, "ST", "Letter"),
        element(0x00420011, "OB", padded),
        text(0x00420012, "LO", media_type),
        length,
    )


def code(meaning: str, value: str = "1", scheme: str = "99X") -> bytes:
    return item(
        text(0x00080100, "SH", value)
        + text(0x00080102, "SH", scheme)
        + text(0x00080104, "LO", meaning.encode())
    )


def content(kind: str, name: str, *rest: bytes, relationship: str = "CONTAINS") -> bytes:
    body = (
        text(0x0040A010, "CS", relationship)
        + text(0x0040A040, "CS", kind)
        + sequence(0x0040A043, code(name))
    )
    return item(body + b"".join(rest), length=UNDEFINED)


@pytest.mark.parametrize(
    ("sop_class_uid", "has_pixels", "kind"),
    [
        (STORAGE + "88.11", False, DocumentKind.STRUCTURED_REPORT),
        (STORAGE + "88.59", False, DocumentKind.STRUCTURED_REPORT),
        (PDF, False, DocumentKind.ENCAPSULATED),
        (STORAGE + "9.1.1", False, DocumentKind.WAVEFORM),
        (STORAGE + "481.3", False, DocumentKind.OTHER),
        (STORAGE + "2", True, DocumentKind.IMAGE),
        (STORAGE + "2", False, DocumentKind.OTHER),
        ("1.3.12.2.1107.5.9.1", True, DocumentKind.IMAGE),
        ("", False, DocumentKind.OTHER),
    ],
)
def test_the_kind_goes_by_class_then_by_pixels(
    sop_class_uid: str, has_pixels: bool, kind: DocumentKind
) -> None:
    assert kind_of(sop_class_uid, has_pixels=has_pixels) is kind


def test_a_report_is_a_tree_with_its_relationships() -> None:
    document = read_document(bundled("test-SR.dcm"))
    assert document.kind is DocumentKind.STRUCTURED_REPORT
    assert document.title == "Diagnosis"
    assert document.lines[:4] == (
        "Completion: COMPLETE (This document is completed!)",
        "Verification: VERIFIED",
        "Predecessor documents: 1",
        "Verified by Riesmeier^Jörg, OFFIS e.V., 20010213184746",
    )
    assert "  (observation context) Some UID [uidref]: 1.2.3.4.5" in document.lines
    assert "    Diameter [num]: 3 cm (Length Unit)" in document.lines
    assert "      (modifier) Code [code]: Sample Code (2222, 99_OFFIS_DCMTK)" in document.lines
    assert "      (selected from) content item 1.3.2" in document.lines


def test_a_reference_names_its_presentation_state_and_channels() -> None:
    """PS3.3 C.18.4 and C.18.5, as dsrdump shows them."""
    lines = read_document(bundled("test-SR.dcm")).lines
    assert (
        "  (no concept name) [image]: CT Image 1.2.3.4.5.0, frame 5, 2, shown by Grayscale Softcopy"
        " Presentation State 1.2.3.5.6.7" in lines
    )
    [waveform] = [line for line in lines if "[waveform]" in line]
    assert "Hemodynamic Waveform 1.2.3.4.5, channel 5/3" in waveform


def test_a_preliminary_report_says_so(tmp_path: Path) -> None:
    """PS3.3 C.17.2: a preliminary report must not pass for a final one."""
    path = write(
        tmp_path / "sr",
        STORAGE + "88.34",
        text(0x0040A040, "CS", "CONTAINER"),
        sequence(0x0040A043, code("Report")),
        text(0x0040A491, "CS", "PARTIAL"),
        text(0x0040A493, "CS", "UNVERIFIED"),
        text(0x0040A496, "CS", "PRELIMINARY"),
    )
    assert read_document(path).lines[:3] == (
        "Preliminary flag: PRELIMINARY",
        "Completion: PARTIAL",
        "Verification: UNVERIFIED",
    )


def test_a_reference_to_a_segment_names_it(tmp_path: Path) -> None:
    reference = item(
        text(0x00081150, "UI", STORAGE + "66.4")
        + text(0x00081155, "UI", "1.2.9")
        + element(0x0062000B, "US", b"\2\0")
    )
    path = write(
        tmp_path / "sr",
        STORAGE + "88.33",
        text(0x0040A040, "CS", "CONTAINER"),
        sequence(0x0040A730, content("IMAGE", "Region", sequence(0x00081199, reference))),
    )
    assert read_document(path).lines[-1] == "  Region [image]: Segmentation 1.2.9, segment 2"


def test_every_value_type_is_shown(tmp_path: Path) -> None:
    reference = sequence(
        0x00081199,
        item(
            text(0x00081150, "UI", STORAGE + "2")
            + text(0x00081155, "UI", "1.2.9")
            + text(0x00081160, "IS", "3\\4")
        ),
    )
    units = sequence(0x004008EA, code("millimeter", "mm", "UCUM"))
    measured = sequence(0x0040A300, item(units + text(0x0040A30A, "DS", "12.50")))
    children = (
        content("TEXT", "Finding", text(0x0040A160, "UT", "línea\r\nzwei".encode())),
        content("CODE", "Site", sequence(0x0040A168, code("Lung", "39607008", "SCT"))),
        content("NUM", "Size", measured),
        content("NUM", "Volume", sequence(0x0040A301, code("Measurement failure"))),
        content("PNAME", "Observer", text(0x0040A123, "PN", "山田^太郎".encode())),
        content("DATE", "Day", text(0x0040A121, "DA", "20240229")),
        content("TIME", "Hour", text(0x0040A122, "TM", "0930")),
        content("DATETIME", "When", text(0x0040A120, "DT", "202402290930")),
        content("IMAGE", "Source", reference, relationship="INFERRED FROM"),
        content(
            "SCOORD3D",
            "Region",
            text(0x00700023, "CS", "POLYGON") + element(0x00700022, "FL", b"\0" * 36),
        ),
    )
    path = write(
        tmp_path / "sr",
        STORAGE + "88.33",
        text(0x0040A040, "CS", "CONTAINER"),
        sequence(0x0040A043, code("Report")),
        sequence(0x0040A504, item(text(0x00080105, "CS", "DCMR") + text(0x0040DB00, "CS", "1500"))),
        sequence(0x0040A730, *children, length=UNDEFINED),
    )
    assert read_document(path).lines == (
        "Report [container]: template DCMR 1500",
        "  Finding [text]: línea",
        "    zwei",
        "  Site [code]: Lung (39607008, SCT)",
        "  Size [num]: 12.50 mm (millimeter)",
        "  Volume [num]: no value (Measurement failure)",
        "  Observer [pname]: 山田^太郎",
        "  Day [date]: 20240229",
        "  Hour [time]: 0930",
        "  When [datetime]: 202402290930",
        "  (inferred from) Source [image]: CT Image 1.2.9, frame 3, 4",
        "  Region [scoord3d]: polygon, 3 points",
    )


def test_a_key_object_selection_lists_its_images(tmp_path: Path) -> None:
    reference = sequence(
        0x00081199, item(text(0x00081150, "UI", STORAGE + "4") + text(0x00081155, "UI", "1.2.9"))
    )
    path = write(
        tmp_path / "ko",
        STORAGE + "88.59",
        text(0x0040A040, "CS", "CONTAINER"),
        sequence(0x0040A043, code("Of Interest", "113000", "DCM")),
        sequence(0x0040A730, content("IMAGE", "Image", reference)),
    )
    document = read_document(path)
    assert document.title == "Of Interest"
    assert document.lines[-1] == "  Image [image]: MR Image 1.2.9"


def test_hostile_texts_in_a_report_cannot_act(tmp_path: Path) -> None:
    path = write(
        tmp_path / "sr",
        STORAGE + "88.11",
        sequence(0x0040A043, code("\x1b]0;x\x07")),
        sequence(
            0x0040A730,
            content("TEXT", "a\x9bb", text(0x0040A160, "UT", "\x1b[2J\r\u202e".encode())),
        ),
    )
    document = read_document(path)
    assert clean(document.title) == document.title
    assert all(clean(line) == line for line in document.lines)


@pytest.mark.parametrize("told", [None, 7])
def test_an_odd_document_comes_out_without_its_padding(tmp_path: Path, told: int | None) -> None:
    path = encapsulate(tmp_path / "pdf", PDF, b"%PDF-1.", "application/pdf", told=told)
    assert read_encapsulated(path) == b"%PDF-1."
    document = read_document(path)
    assert (document.title, document.media_type, document.size) == ("Letter", "application/pdf", 7)
    assert document.exportable
    assert document.kind is DocumentKind.ENCAPSULATED


def test_an_even_document_comes_out_whole(tmp_path: Path) -> None:
    for told in (None, 8, 2, 9000):
        path = encapsulate(tmp_path / "pdf", PDF, b"%PDF-1.7", "application/pdf", told=told)
        assert read_encapsulated(path) == b"%PDF-1.7"


def test_a_zero_at_the_end_of_a_binary_stl_is_no_padding(tmp_path: Path) -> None:
    whole = b"\0" * 80 + struct.pack("<L", 2) + b"\0" * 100
    assert read_encapsulated(encapsulate(tmp_path / "a", STL, whole, "model/stl")) == whole
    told = encapsulate(tmp_path / "b", STL, whole, "model/stl", told=len(whole))
    assert read_encapsulated(told) == whole
    text_stl = b"solid xy\nendsolid xy\n"
    assert read_encapsulated(encapsulate(tmp_path / "c", STL, text_stl, "model/stl")) == text_stl


def test_the_text_of_a_clinical_document_is_shown_without_markup(tmp_path: Path) -> None:
    xml = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><ClinicalDocument><!-- no -->'
        "<title>Befund</title><hl7:paragraph>A &lt; B, <![CDATA[M\xfcller]]></hl7:paragraph><br/>"
        "Ende</ClinicalDocument>"
    ).encode("latin_1")
    document = read_document(encapsulate(tmp_path / "cda", CDA, xml, "text/xml"))
    assert document.lines[1:] == ("Befund", "A < B, Müller", "Ende")


def test_markup_that_never_closes_takes_no_time(tmp_path: Path) -> None:
    """A quarter of a million opened comments would take a quadratic stripper hours."""
    for opening in (b"<!--", b"<", b"<![CDATA["):
        xml = b"<title>x</title>" + opening * 100_000
        lines = read_document(encapsulate(tmp_path / "cda", CDA, xml, "text/xml")).lines
        assert lines[1:] == ("x",)


def test_entities_of_a_document_are_not_expanded(tmp_path: Path) -> None:
    xml = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY f SYSTEM "file:///etc/passwd">]><x>&a;&f;</x>'
    lines = read_document(encapsulate(tmp_path / "cda", CDA, xml, "text/xml")).lines
    assert not any("root:" in line for line in lines)


def test_a_document_object_without_document_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "pdf", PDF, text(0x00420012, "LO", "application/pdf"))
    document = read_document(path)
    assert (document.lines, document.exportable) == (("the object holds no document",), False)
    with pytest.raises(DecodeError, match="holds no document"):
        read_encapsulated(path)


def test_a_document_cut_short_is_not_exported(tmp_path: Path) -> None:
    path = encapsulate(tmp_path / "pdf", PDF, b"%PDF-1.7" * 100, "application/pdf")
    path.write_bytes(path.read_bytes()[:-200])
    assert not read_document(path).exportable
    with pytest.raises(DecodeError, match="damaged"):
        read_encapsulated(path)


def test_an_electrocardiogram_tells_its_channels() -> None:
    document = read_document(bundled("waveform_ecg.dcm"))
    assert document.kind is DocumentKind.WAVEFORM
    assert document.title == "12-lead ECG Waveform"
    assert document.lines[0] == "RHYTHM: 12 channels, 10000 samples, 1000 Hz, 10 s"
    assert document.lines[1].startswith("  Lead I (Einthoven), Lead II")


def test_radiotherapy_objects_tell_their_contents() -> None:
    structures = read_document(bundled("rtstruct.dcm"))
    assert structures.title == "RT Structure Set"
    assert "region of interest: Isocenter 1" in structures.lines
    plan = read_document(bundled("rtplan.dcm"))
    assert {"plan label: Plan1", "beam: Field 1", "1 fraction group"} <= set(plan.lines)


def test_damage_is_said_in_the_last_line() -> None:
    document = read_document(bundled("rtplan_truncated.dcm"))
    assert document.lines[-1].startswith("(the rest cannot be read:")


def test_what_is_no_dicom_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    for data in (b"", b"nothing"):
        path.write_bytes(data)
        with pytest.raises(InvalidObjectError):
            read_document(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["test-SR.dcm", "waveform_ecg.dcm", "rtplan.dcm", "rtstruct.dcm"]),
    st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=4)), max_size=8),
    st.integers(200, 8000),
)
def test_mutated_documents_are_read_or_refused(
    tmp_path: Path, name: str, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(bundled(name).read_bytes())
    for position, change in changes:
        start = position % len(data)
        data[start : start + len(change)] = change
    path = tmp_path / "mutated"
    path.write_bytes(data[:cut])
    try:
        document = read_document(path)
    except InvalidObjectError:
        return
    assert all(clean(line) == line for line in document.lines)
