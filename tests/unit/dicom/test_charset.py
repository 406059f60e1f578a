"""Names are right in every character set of the standard (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from tuipacs.dicom.charset import BAD_ESCAPE, BAD_TEXT, UNDECLARED_TEXT, charset_of
from tuipacs.dicom.part10 import encode_header

from .datasets import dataset

ESC = b"\x1b"
KANJI_YAMADA_TAROU = b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
KANA_YAMADA_TAROU = b"\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"

# (Specific Character Set, a name as stored, the name). The Japanese, Korean and Chinese ones are
# the examples of PS3.5 annexes H, I, J and K.
NAMES = [
    ("", b"Doe^Jane", "Doe^Jane"),
    ("ISO_IR 6", b"Doe^Jane", "Doe^Jane"),
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 101", b"Wa\xb3\xeasa^Ko\xb6\xe6", "Wałęsa^Kość"),
    ("ISO_IR 109", b"\xa1a\xf5ar^\xd5or\xf5", "Ħaġar^Ġorġ"),
    ("ISO_IR 110", b"B\xbarzi\xf1\xb9^J\xe0nis", "Bērziņš^Jānis"),
    ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
    (
        "ISO_IR 127",
        b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1",
        "قباني^لنزار",
    ),
    ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu^I\xfd\xddi", "Çavuşoğlu^Iıİi"),
    ("ISO_IR 203", b"\xbcuvre^\xa4", "Œuvre^€"),
    ("ISO_IR 166", b"\xca\xc1\xaa\xd2\xc2^\xe3\xa8\xb4\xd5", "สมชาย^ใจดี"),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"),
    ("GB18030", b"\x95\x32\x82\x36^\x81\x30\x84\x36", "𠀀^¥"),
    ("GBK", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"),
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=" + KANJI_YAMADA_TAROU + b"=" + KANA_YAMADA_TAROU,
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3="
        + KANJI_YAMADA_TAROU.replace(b"\x1b(B", b"\x1b(J")
        + b"="
        + KANA_YAMADA_TAROU.replace(b"\x1b(B", b"\x1b(J"),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    ("\\ISO 2022 IR 159", b"A^\x1b$(D0!0\x22\x1b(B", "A^丂丄"),
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东",
    ),
    (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        b"J\xe9^\x1b-L\xbb\xee^\xe9",
        "Jé^Лю^é",
    ),
]
# What DCMTK cannot convert: Debian's C library has no JIS sets alone, and ISO_IR 203 is too new.
NOT_IN_DCMTK = ("ISO_IR 13", "IR 13\\", "IR 87", "IR 159", "ISO_IR 203")


@pytest.mark.parametrize(("charset", "raw", "name"), NAMES)
def test_names_are_decoded(charset: str, raw: bytes, name: str) -> None:
    text, remark = charset_of(charset.encode()).decode(raw, is_name=True)
    assert text.rstrip("=") == name
    assert remark == ""
    assert charset_of(charset.encode()).remark == ""


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("charset", "raw", "name"),
    [case for case in NAMES if not any(term in case[0] for term in NOT_IN_DCMTK)],
)
def test_names_are_what_dcmtk_makes_of_them(
    charset: str, raw: bytes, name: str, tmp_path: Path
) -> None:
    """``dcmconv +U8`` is an independent reading of the same bytes."""
    source, converted = tmp_path / "source.dcm", tmp_path / "utf8.dcm"
    header = encode_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    source.write_bytes(header + dataset(name=raw, charset=charset))
    subprocess.run(["dcmconv", "+U8", source, converted], check=True, capture_output=True)
    assert str(dcmread(converted).PatientName) == name


def test_only_names_delimit_at_caret_and_equals() -> None:
    """PS3.5 6.1.2.5.3: in other texts a caret does not bring the first character set back."""
    charset = charset_of(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    assert charset.decode(b"\x1b-L\xbb^\xbb") == ("Л^Л", "")
    assert charset.decode(b"\x1b-L\xbb^\xbb", is_name=True) == ("Л^»", "")


def test_a_line_break_brings_the_first_character_set_back() -> None:
    charset = charset_of(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    assert charset.decode(b"\x1b-L\xbb\r\n\xbb") == ("Л\r\n»", "")


def test_korean_without_a_new_escape_sequence_is_still_read() -> None:
    assert charset_of(b"\\ISO 2022 IR 149").decode(b"\x1b$)C\xc8\xab^\xb1\xe6", is_name=True) == (
        "홍^길",
        "",
    )


def test_padding_after_kanji_without_return_to_ascii_is_no_damage() -> None:
    assert charset_of(b"\\ISO 2022 IR 87").decode(b"\x1b$B;3ED ") == ("山田 ", "")


def test_a_backslash_inside_a_kanji_is_no_delimiter() -> None:
    """JIS X 0208 has second bytes that look like a backslash, a caret and an equals sign."""
    raw = b"\x1b$B0\\0^0=\x1b(B"
    text, remark = charset_of(b"\\ISO 2022 IR 87").decode(raw, is_name=True)
    assert (text, remark) == (raw.decode("iso2022_jp"), "")
    assert len(text) == 3


def test_a_long_value_of_delimiters_takes_no_time() -> None:
    """A mebibyte of carets inside Kanji is read in one pass."""
    text, _ = charset_of(b"\\ISO 2022 IR 87").decode(b"\x1b$B" + b"^" * (1 << 20), is_name=True)
    assert len(text) == 1 << 19


@pytest.mark.parametrize(
    ("charset", "remark"),
    [
        (b"ISO_IR 999", "unknown character set"),
        (b"nonsense \x1b[2J", "unknown character set"),
        (b"rot13", "unknown character set"),
        (b"ISO-IR 100", "the character set is misspelt"),
        (
            b"ISO_IR 192\\ISO 2022 IR 87",
            "the character set does not allow code extensions, and some are named",
        ),
    ],
)
def test_an_odd_character_set_is_remarked(charset: bytes, remark: str) -> None:
    assert charset_of(charset).remark == remark


def test_misspelt_terms_are_understood() -> None:
    assert charset_of(b"ISO IR 100").decode(b"\xe9")[0] == "é"
    assert charset_of(b"utf8 ").decode("é".encode())[0] == "é"
    assert charset_of(b"ISO 2022 GBK").decode(b"\xcd\xf5")[0] == "王"


def test_bytes_outside_the_character_set_are_remarked() -> None:
    assert charset_of(b"ISO_IR 192").decode(b"J\xe9") == ("J\ufffd", BAD_TEXT)
    assert charset_of(b"").decode(b"J\xe9") == ("Jé", UNDECLARED_TEXT)
    assert charset_of(b"ISO_IR 100").decode(b"\x1b[2J") == ("\x1b[2J", BAD_ESCAPE)
    assert charset_of(b"\\ISO 2022 IR 87").decode(b"\x1b$B;\x1b(B")[1] == BAD_TEXT


@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([case[0] for case in NAMES])).map(lambda x: "\\".join(x).encode()),
    ),
    st.lists(
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from(
                [b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b-L", b"\x1b$(D", ESC, b"^", b"\n"]
            ),
        )
    ).map(b"".join),
    st.booleans(),
)
def test_no_bytes_make_it_fail(charset: bytes, raw: bytes, is_name: bool) -> None:
    text, _ = charset_of(charset).decode(raw, is_name=is_name)
    assert isinstance(text, str)
