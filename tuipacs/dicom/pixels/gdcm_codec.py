"""GDCM as the second decoder: it reads JPEG Extended files that libjpeg refuses."""

from __future__ import annotations

import gdcm
import numpy as np
from numpy.typing import NDArray

from tuipacs.dicom.pixels.codestream import Codestream
from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.errors import DecodeError


def decode_with_gdcm(data: bytes, stream: Codestream, header: PixelHeader) -> NDArray[np.generic]:
    """Return the samples of one compressed frame, (rows, columns[, 3]), as they are in the stream.

    Only used for one component, or for three that no one may convert. Raises DecodeError.
    """
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((stream.columns, stream.rows, 1))
    image.SetDataElement(element)
    colours = "RGB" if stream.components == 3 else "MONOCHROME2"
    kind = gdcm.PhotometricInterpretation.GetPIType(colours)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if stream.components == 3:
        image.SetPlanarConfiguration(0)
    syntax = gdcm.TransferSyntax.GetTSType(header.transfer_syntax)
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    width = 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4
    image.SetPixelFormat(
        gdcm.PixelFormat(
            stream.components, width * 8, stream.precision, stream.precision - 1, int(stream.signed)
        )
    )
    wanted = stream.rows * stream.columns * stream.components * width
    buffer = image.GetBuffer()  # the binding gives bytes disguised as text
    raw = buffer.encode("utf-8", "surrogateescape")
    if len(raw) != wanted:
        raise DecodeError("gave a picture of another size")
    samples = np.frombuffer(raw, f"<u{width}")
    shape = (stream.rows, stream.columns)
    return samples.reshape(shape if stream.components == 1 else (*shape, stream.components))
