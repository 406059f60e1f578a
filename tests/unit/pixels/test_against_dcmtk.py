"""Every bundled picture that DCMTK can decode too looks the same, within one grey level.

``dcmj2pnm`` (``dcml2pnm`` for JPEG-LS, ``dcm2pnm`` for the rest) gets the options that mean what
we say we did: ``+Wi 1`` the first window, ``+Wl 1`` the first VOI LUT, ``+Wm`` minimum to maximum,
``+Ww`` the given window; overlays off; colours converted if the photometric interpretation says so.
"""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.data import get_charset_files, get_testdata_files

from tuipacs.domain.frame import Frame, WindowRequest, WindowSource
from tuipacs.errors import DecodeError

from .images import as_array, image, render_frame, write

pytestmark = pytest.mark.dcmtk

#: Not compared, and why.
EXCLUDED = {
    "rtdose_expb.dcm": "32-bit big endian in OW: DCMTK swaps 16-bit words, the file holds 32-bit"
    " numbers; test_the_encoding_does_not_change_the_picture compares it with its twin",
    "rtdose_expb_1frame.dcm": "the same",
}

#: DCMTK refuses these; we show them.
DCMTK_REFUSES = {
    "693_J2KI.dcm": "no JPEG 2000 in DCMTK",
    "GDCMJ2K_TextGBR.dcm": "no JPEG 2000 in DCMTK",
    "J2K_pixelrep_mismatch.dcm": "no JPEG 2000 in DCMTK",
    "JPEG2000.dcm": "no JPEG 2000 in DCMTK",
    "MR_small_jp2klossless.dcm": "no JPEG 2000 in DCMTK",
    "SC_rgb_gdcm_KY.dcm": "no JPEG 2000 in DCMTK",
    "examples_jpeg2k.dcm": "no JPEG 2000 in DCMTK",
    "SC_rgb_jpeg.dcm": "its JPEG has no end-of-image marker",
}

#: We refuse these; DCMTK shows something.
WE_REFUSE = {
    "MR_truncated.dcm": "the last 62 bytes of its pixels are missing",
    "badVR.dcm": "its number of frames is the text 1A",
}


def _bundled() -> list[Path]:
    found = {Path(path) for path in (*get_testdata_files(), *get_charset_files("*.dcm"))}
    return sorted(path for path in found if path.is_file() and path.suffix not in {".py", ".md"})


def _options(frame: Frame) -> list[str]:
    window = [f"{frame.window_center}", f"{frame.window_width}"]
    if frame.samples == 3:
        return []
    if "without its padding" in frame.window_explanation:
        return ["+Ww", *window]  # DCMTK counts padding (against C.7.5.1.1.2 note 2)
    return {
        WindowSource.DATASET: ["+Wi", "1"],
        WindowSource.VOI_LUT: ["+Wl", "1"],
        WindowSource.MINIMUM_MAXIMUM: ["+Wm"],
        WindowSource.USER: ["+Ww", *window],
        WindowSource.NONE: ["+Ww", *window],
    }[frame.window_source]


def dcmtk(path: Path, frame: Frame, output: Path) -> NDArray[np.uint8] | None:
    """What DCMTK shows, None if it cannot."""
    for program in ("dcmj2pnm", "dcml2pnm", "dcm2pnm"):
        done = subprocess.run(
            [
                program,
                "-q",
                "-O",
                *_options(frame),
                "+F",
                str(frame.frame_number),
                "+op",
                path,
                output,
            ],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            with Image.open(output) as picture:
                return np.asarray(picture)
    return None


def _difference(path: Path, frame: Frame, output: Path) -> int | None:
    theirs = dcmtk(path, frame, output)
    if theirs is None:
        return None
    ours = as_array(frame)
    assert theirs.shape == ours.shape
    return int(np.abs(theirs.astype(int) - ours.astype(int)).max())


def test_every_bundled_picture_looks_as_dcmtk_shows_it(tmp_path: Path) -> None:
    """The first and the last frame of each file; the lists above are complete and exact."""
    compared = 0
    refused_by_dcmtk = set()
    wrong = {}
    for path in _bundled():
        if path.name in EXCLUDED:
            continue
        try:
            frame = render_frame(path)
        except DecodeError:
            continue
        last = frame.number_of_frames
        for one in (frame, *([render_frame(path, last)] if last > 1 else [])):
            difference = _difference(path, one, tmp_path / "out.pnm")
            if difference is None:
                refused_by_dcmtk.add(path.name)
                continue
            compared += 1
            if difference > 1:
                wrong[path.name] = difference
    assert wrong == {}
    assert refused_by_dcmtk == set(DCMTK_REFUSES)
    assert compared > 80


def test_what_we_refuse_dcmtk_refuses_too(tmp_path: Path) -> None:
    """With the exceptions listed, where it shows a part or a guess."""
    shown = set()
    for path in _bundled():
        try:
            render_frame(path)
        except DecodeError:
            done = subprocess.run(
                ["dcm2pnm", "-q", "+op", path, tmp_path / "out.pnm"],
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                shown.add(path.name)
    assert shown <= set(WE_REFUSE)


def _table(descriptor: list[int], data: list[int], vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, vr, descriptor)
    item.add_new(0x00283006, "US", data)
    return item


RAMP = np.arange(0, 4096, 4).reshape(32, 32)
SIGNED = RAMP - 2048
_SIGMOID = {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"}
SYNTHETIC = {
    "window": image(RAMP, WindowCenter=1000, WindowWidth=501),
    "narrow window": image(RAMP, WindowCenter=1000, WindowWidth=2),
    "threshold": image(RAMP, WindowCenter=1000, WindowWidth=1),
    "sigmoid": image(RAMP, **_SIGMOID),
    "signed": image(SIGNED, "i2", WindowCenter=-100, WindowWidth=300),
    "signed, 12 bits": image(SIGNED & 0xFFF, BitsStored=12, PixelRepresentation=1),
    "12 bits under an overlay": image(RAMP | 0x8000, BitsStored=12),
    "high bit 15": image(RAMP << 4, BitsStored=12, HighBit=15),
    "rescale": image(
        RAMP, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400
    ),
    "negative slope": image(RAMP, RescaleSlope=-1, RescaleIntercept=100),
    "monochrome 1": image(
        RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=1000, WindowWidth=501
    ),
    "monochrome 1, inverse": image(
        RAMP, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"
    ),
    "monochrome 1, identity": image(
        RAMP, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY"
    ),
    "monochrome 2, inverse": image(RAMP, PresentationLUTShape="INVERSE"),
    "X-ray, logarithmic": image(
        RAMP,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1",
        Modality="XA",
        PixelIntensityRelationship="LOG",
        RescaleSlope=-1,
        RescaleIntercept=0,
    ),
    "modality table": image(
        RAMP, ModalityLUTSequence=[_table([1000, 500, 12], [n * n % 4096 for n in range(1000)])]
    ),
    "voi table": image(
        RAMP, VOILUTSequence=[_table([4096, 0, 12], [4095 - n * n // 4096 for n in range(4096)])]
    ),
    "voi table, 16 bits": image(
        RAMP, VOILUTSequence=[_table([1000, 1000, 16], [n * 65 for n in range(1000)])]
    ),
    "8 bits": image(RAMP % 256, "u1"),
    "32 bits": image(RAMP * 100_000, "u4"),
    "rgb": image(np.stack([RAMP % 256, RAMP // 16, 255 - RAMP // 16], -1), "u1"),
    "rgb, 16 bits": image(np.stack([RAMP * 16, RAMP * 7, 65535 - RAMP], -1), "u2"),
}


@pytest.mark.parametrize("name", SYNTHETIC)
def test_each_rule_of_the_pipeline_agrees_with_dcmtk(name: str, tmp_path: Path) -> None:
    path = write(SYNTHETIC[name], tmp_path / "a.dcm")
    difference = _difference(path, render_frame(path), tmp_path / "out.pnm")
    assert difference is not None
    assert difference <= 1


@pytest.mark.parametrize("center", [-300.5, 0, 40])
@pytest.mark.parametrize("width", [1, 2, 80, 4000.5])
def test_the_window_of_a_person_agrees_with_dcmtk(
    center: float, width: float, tmp_path: Path
) -> None:
    path = write(image(SIGNED, "i2"), tmp_path / "a.dcm")
    frame = render_frame(path, 1, WindowRequest(center=center, width=width))
    difference = _difference(path, frame, tmp_path / "out.pnm")
    assert difference is not None
    assert difference <= 1


def test_palettes_agree_with_dcmtk(tmp_path: Path) -> None:
    picture = image(RAMP // 16, "u1", PhotometricInterpretation="PALETTE COLOR")
    for number, colour in enumerate(("Red", "Green", "Blue"), 1):
        entries = (np.arange(200) * number * 97 % 65536).astype("<u2").tobytes()
        setattr(picture, f"{colour}PaletteColorLookupTableDescriptor", [200, 30, 16])
        setattr(picture, f"{colour}PaletteColorLookupTableData", entries)
    path = write(picture, tmp_path / "a.dcm")
    difference = _difference(path, render_frame(path), tmp_path / "out.pnm")
    assert difference is not None
    assert difference <= 1


def test_the_lists_name_files_that_exist() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = {path.name for path in _bundled()}
    assert set(EXCLUDED) | set(DCMTK_REFUSES) | set(WE_REFUSE) <= names
