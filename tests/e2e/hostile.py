"""Datasets and files that no honest program writes, each with a name; made of bytes by hand.

Every text that could be patient data holds `SECRET`, so that a leak shows.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from tests.dimse.raw_peer import CT, EXPLICIT
from tuipacs.domain.uid import new_uid

SECRET = "SECRET"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
_LONG = frozenset(("OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT"))

Element = tuple[str, bytes]

# Colours, clear screen, clipboard, window title, C1 in both guises, bidi override, NUL, markup.
HOSTILE = (
    b"SECRET\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x1b\\\x9b31m\xc2\x9b31m"
    b"\xe2\x80\xaelive\x00[bold red]x[/]\r\n\x08\x7f"
)
_TEXT_ELEMENTS = {
    0x00080020: "DA",
    0x00080030: "TM",
    0x00080050: "SH",
    0x00080060: "CS",
    0x00080080: "LO",
    0x00080090: "PN",
    0x0008002A: "DT",
    0x00081030: "LO",
    0x0008103E: "LO",
    0x00081190: "UR",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00100021: "LO",
    0x00100030: "DA",
    0x00100040: "CS",
    0x00101010: "AS",
    0x00104000: "LT",
    0x00180015: "CS",
    0x00181030: "LO",
    0x00200010: "SH",
    0x00200011: "IS",
    0x00200013: "IS",
    0x00280030: "DS",
    0x00400254: "LO",
    0x0040A160: "UT",
    0x00741000: "AE",
    0x00741238: "UC",
    0x00880140: "ST",
}


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Explicit VR little endian; a value of odd length stays so."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return data + b" " * (len(data) % 2)


def uid(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)


def image(changes: Mapping[int, Element | None] | None = None) -> dict[int, Element]:
    """A CT image of 2 x 2; ``changes`` replace elements, None removes one."""
    elements: dict[int, Element | None] = {
        0x00080005: ("CS", text("ISO_IR 192")),
        0x00080016: ("UI", uid(CT)),
        0x00080018: ("UI", uid(new_uid())),
        0x00080020: ("DA", b"20240131"),
        0x00080060: ("CS", b"CT"),
        0x00100010: ("PN", text(f"{SECRET}^NAME")),
        0x00100020: ("LO", text(f"{SECRET}-ID")),
        0x0020000D: ("UI", uid(new_uid())),
        0x0020000E: ("UI", uid(new_uid())),
        0x00280002: ("US", b"\1\0"),
        0x00280004: ("CS", b"MONOCHROME2 "),
        0x00280010: ("US", b"\2\0"),
        0x00280011: ("US", b"\2\0"),
        0x00280100: ("US", b"\x10\0"),
        0x00280101: ("US", b"\x10\0"),
        0x00280102: ("US", b"\x0f\0"),
        0x00280103: ("US", b"\0\0"),
        0x7FE00010: ("OW", bytes(8)),
    }
    elements.update(changes or {})
    return {tag: found for tag, found in sorted(elements.items()) if found is not None}


def encode(elements: Mapping[int, Element]) -> bytes:
    return b"".join(element(tag, vr, value) for tag, (vr, value) in elements.items())


def make(changes: Mapping[int, Element | None] | None = None, tail: bytes = b"") -> bytes:
    """A changed image, encoded; ``tail`` follows its last element."""
    return encode(image(changes)) + tail


def nested(depth: int) -> bytes:
    """A sequence in a sequence in ..., all of undefined length."""
    opening = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opening * depth + closing * depth


def _fragments(offsets: bytes, fragments: list[bytes]) -> bytes:
    """Encapsulated pixel data (PS3.5 A.4)."""
    items = b"".join(
        struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data for data in (offsets, *fragments)
    )
    head = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return head + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def many_elements(count: int) -> bytes:
    """Private elements in rising order."""
    kind = [("group", "<u2"), ("element", "<u2"), ("vr", "S2"), ("length", "<u2"), ("value", "<u2")]
    made = np.empty(count, dtype=kind)
    numbers = np.arange(count)
    made["group"], made["element"] = 0x0041 + 2 * (numbers >> 16), numbers & 0xFFFF
    made["vr"], made["length"], made["value"] = b"US", 2, 1
    return made.tobytes()


def deflate(data: bytes, zeros: int = 0) -> bytes:
    """``data`` and ``zeros`` zero bytes in an element of their own, deflated."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = squeeze.compress(data)
    if zeros:
        out += squeeze.compress(struct.pack("<HH2sHL", 0x7FE1, 0x1010, b"OB", 0, zeros))
        for _ in range(zeros >> 20):
            out += squeeze.compress(bytes(1 << 20))
    return out + squeeze.flush()


def hostile_texts() -> dict[int, Element | None]:
    return {tag: (vr, text(HOSTILE)) for tag, vr in _TEXT_ELEMENTS.items()}


def _climbing(token: str) -> dict[int, Element | None]:
    path = text(f"../../../../../../tmp/{token}")
    tags = {0x00080050: "SH", 0x00081010: "SH", 0x00100010: "PN", 0x00100020: "LO"}
    tags |= {0x00100021: "LO", 0x00200010: "SH", 0x00081030: "LO", 0x0008103E: "LO"}
    return {tag: (vr, path) for tag, vr in tags.items()}


def datasets(token: str) -> dict[str, tuple[bytes, str]]:
    """(dataset, transfer syntax) by the name of the case. ``token`` is in all paths."""
    sql = text("'; DROP TABLE instance; --%_\\\"")
    plain = {
        "hostile text in every text VR": make(hostile_texts()),
        "climbing paths in every identifier": make(_climbing(token)),
        "a climbing path as SOP Instance UID": make({0x00080018: ("UI", uid(f"../../{token}"))}),
        "a climbing path as Study Instance UID": make({0x0020000D: ("UI", uid(f"../{token}"))}),
        "a climbing path as Series Instance UID": make({0x0020000E: ("UI", uid(f"../{token}"))}),
        "SQL in every identifier": make({0x00100020: ("LO", sql), 0x00100021: ("LO", sql)}),
        "500 nested sequences": make({0x7FE00010: None}, nested(500)),
        "5,000 nested sequences": make({0x7FE00010: None}, nested(5000)),
        "a million elements": make({0x7FE00010: None}, many_elements(1_000_000)),
        "IS 1e400": make(dict.fromkeys((0x00200011, 0x00200013, 0x00280008), ("IS", b"1e400 "))),
        "DS NaN": make({0x00281052: ("DS", b"NaN "), 0x00280030: ("DS", b"1e400\\NaN ")}),
        "Rows 65535": make({0x00280010: ("US", b"\xff\xff"), 0x00280011: ("US", b"\xff\xff")}),
        "Rows 0": make({0x00280010: ("US", b"\0\0"), 0x00280011: ("US", b"\0\0")}),
        "a billion frames": make({0x00280008: ("IS", b"1000000000")}),
        "BitsAllocated 0": make({0x00280100: ("US", b"\0\0")}),
        "BitsAllocated 7": make({0x00280100: ("US", b"\x07\0")}),
        "BitsAllocated 64": make({0x00280100: ("US", b"\x40\0")}),
        "US of 3 bytes": make({0x00280010: ("US", b"\1\2\3")}),
        "DA 99999999 and TM 256161": make(
            {0x00080020: ("DA", b"99999999"), 0x00080030: ("TM", b"256161")}
        ),
        "an unknown character set": make({0x00080005: ("CS", text("ISO_IR 999"))}),
        "5,000 character sets": make({0x00080005: ("CS", text("ISO 2022 IR 87\\" * 4300))}),
        "an absurd character set": make(
            {0x00080005: ("CS", text("\\..\\ISO_IR 192\\\x1b[2J\\utf-7\\" + "A" * 900))}
        ),
        "odd lengths": make(
            {
                0x00080080: ("LO", b"ODD"),
                0x00100010: ("PN", b"SECRET^ODD"[:-1]),
                0x00100020: ("LO", b"SECRET-ID"),
                0x00081030: ("LO", b"X"),
                0x7FE00010: ("OW", bytes(7)),
            }
        ),
        "an unterminated ISO 2022 escape": make(
            {
                0x00080005: ("CS", text("\\ISO 2022 IR 87")),
                0x00100010: ("PN", text(b"SECRET^\x1b$B;3ED\x1b")),
            }
        ),
        "PN of 64 KiB": make({0x00100010: ("PN", text(SECRET * 10_000))}),
        "tags out of order": encode(dict(reversed(image().items()))),
        "a tag twice": make() + element(0x00100020, "LO", text(f"{SECRET}-OTHER")),
        "group 0000 inside": make() + element(0x00000100, "US", b"\1\0"),
        "a wrong VR": make({0x00100010: ("FL", bytes(4)), 0x00080020: ("SQ", b"")}),
        "length FFFFFFF0": make({0x7FE00010: None})
        + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFF0),
        "undefined length without an end": make({0x7FE00010: None}) + nested(3)[:60],
        "truncated pixels": make()[:-4],
        "no SOP Instance UID": make({0x00080018: None}),
        "no SOP Class UID": make({0x00080016: None}),
        "no Study Instance UID": make({0x0020000D: None}),
        "no Series Instance UID": make({0x0020000E: None}),
        "no Patient ID": make({0x00100020: None}),
        "no UIDs": make(dict.fromkeys((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))),
        "a UID of letters": make({0x0020000D: ("UI", b"not.a.uid.")}),
        "a UID of 70 characters": make({0x00080018: ("UI", b"1." + b"2" * 68)}),
        "a UID of 200 characters": make({0x00080018: ("UI", b"1." + b"2" * 198)}),
        "noise": bytes(range(256)) * 8,
    }
    cases = {name: (data, EXPLICIT) for name, data in plain.items()}
    encapsulated = {
        "100,000 fragments": _fragments(b"", [b"\xff\xd8"] * 100_000),
        "an offset table that points nowhere": _fragments(b"\xff" * 400, [b"\xff\xd8" * 9]),
        "an offset table of odd length": _fragments(b"\0" * 7, [b"\xff\xd8" * 9]),
        "fragments without an end": _fragments(b"", [b"\xff\xd8"] * 9)[:-8],
        "no fragment at all": _fragments(b"", [])[:-16] + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0),
    }
    for name, pixels in encapsulated.items():
        cases[name] = (make({0x7FE00010: None}) + pixels, JPEG)
    cases["a deflate bomb"] = (deflate(make({0x7FE00010: None}), 128 << 20), DEFLATED)
    cases["broken deflate"] = (deflate(make())[:-9], DEFLATED)
    return cases


def instance_of(dataset: bytes, syntax: str) -> str:
    """The SOP Instance UID as it stands in the dataset, for the command set; else a new one."""
    if syntax == DEFLATED:
        dataset = zlib.decompressobj(-15).decompress(dataset, 4096)
    at = dataset.find(b"\x08\0\x18\0UI")
    if at < 0:
        return new_uid()
    size = int.from_bytes(dataset[at + 6 : at + 8], "little")
    return dataset[at + 8 : at + 8 + size].rstrip(b"\0").decode("latin-1")


def part10(dataset: bytes, syntax: str = EXPLICIT, *, preamble: bytes = bytes(128)) -> bytes:
    """With meta information that tells the truth about the syntax only."""
    meta = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", uid(CT))
    meta += element(0x00020003, "UI", uid("1.2.3")) + element(0x00020010, "UI", uid(syntax))
    group_length = element(0x00020000, "UL", struct.pack("<L", len(meta)))
    return preamble + b"DICM" + group_length + meta + dataset


def dicomdir(*references: str) -> bytes:
    """A DICOMDIR whose image records name files by these backslash-joined components."""
    records = b"".join(
        struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
        for item in (
            element(0x00041500, "CS", text(reference)) + element(0x00041430, "CS", b"IMAGE ")
            for reference in references
        )
    )
    data = element(0x00041220, "SQ", records)
    whole = part10(data)
    return whole.replace(uid(CT), uid("1.2.840.10008.1.3.10").ljust(len(uid(CT)), b"\0"))


def zip_of(**entries: bytes) -> bytes:
    """``__`` in a name stands for ``../``."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "../"), data)
    return out.getvalue()


def files(token: str) -> dict[str, bytes]:
    """File contents by the name of the case, beside all `datasets`."""
    good = make()
    wrong_length = bytearray(part10(make()))
    wrong_length[140:144] = struct.pack("<L", 7)
    huge_length = bytearray(part10(make()))
    huge_length[140:144] = b"\xff\xff\xff\x7f"
    return {
        "an empty file": b"",
        "131 bytes": part10(good)[:131],
        "no dataset": part10(b""),
        "not DICOM": b"Dear colleague, SECRET\n" * 20,
        "no preamble": make(),
        "DICM without preamble": part10(make())[128:],
        "wrong meta length": bytes(wrong_length),
        "huge meta length": bytes(huge_length),
        "the meta syntax is not the real one": part10(make(), "1.2.840.10008.1.2"),
        "a program as preamble": part10(make(), preamble=b"MZ\x90".ljust(128, b"\0")),
        "a climbing name in a ZIP": zip_of(**{f"____{token}": part10(make())}),
        "an absolute name in a ZIP": zip_of(**{f"/etc/{token}": part10(make())}),
        "a broken ZIP": zip_of(a=part10(make()))[:-40],
    }


def lay_out(folder: Path, contents: Mapping[str, bytes]) -> dict[str, Path]:
    """Write a file for each case, and what is worse than a file; the paths by name of the case."""
    folder.mkdir()
    paths: dict[str, Path] = {}
    for number, (name, content) in enumerate(contents.items()):
        paths[name] = folder / f"{number:03}-{SECRET}"
        paths[name].write_bytes(content)
    awkward = os.fsencode(folder) + b"/\x1b]52;c;ZXZpbA==\x07\xff\n\xe2\x80\xaename"
    paths["a hostile file name"] = Path(os.fsdecode(awkward))
    paths["a hostile file name"].write_bytes(b"no DICOM either, and long enough for a look")
    os.mkfifo(folder / "fifo")
    paths["a FIFO"] = folder / "fifo"
    paths["a symbolic link"] = folder / "link"
    paths["a symbolic link"].symlink_to("/etc/hostname")
    medium = folder / "medium"
    medium.mkdir()
    climbing = "\\".join([".."] * 8 + ["ETC", "PASSWD"])
    (medium / "DICOMDIR").write_bytes(dicomdir("..\\000-SECRET", climbing, "IN\\ORDER"))
    paths["a climbing reference in a DICOMDIR"] = medium / "DICOMDIR"
    return paths
