"""Section 8: what is too long to stand elsewhere."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts, named
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.dimse.messages import C_STORE_RQ


def annexes(facts: Facts) -> list[str]:
    """Storage SOP classes and transfer syntaxes."""
    lines = heading("8", "Annexes") + heading("8.1", "Storage SOP classes")
    lines += paragraph(
        "Accepted as SCP and proposed as SCU. Classes of the standard that are newer than this"
        " table and private ones are accepted as well."
    )
    lines += table(("SOP class", "UID"), named(facts.classes_of(C_STORE_RQ)))
    lines += heading("8.2", "Transfer syntaxes of storage")
    lines += table(("Transfer syntax", "UID"), named(facts.syntaxes_of(C_STORE_RQ)))
    lines += heading("8.3", "Extensions, specializations and privatizations")
    lines += paragraph("None: no private attributes, SOP classes or transfer syntaxes are made.")
    lines += heading("8.4", "Coercion and conversion")
    lines += paragraph("Stored objects are not coerced.")
    lines += paragraph(
        "Objects that a receiver does not take as they are stored are converted on the way out,"
        " without loss: between the uncompressed transfer syntaxes, and from RLE, JPEG, JPEG-LS,"
        " JPEG 2000 and HTJ2K to them. What may differ from the stored object then:"
    )
    return lines + bullets(
        (
            "Transfer Syntax UID, Pixel Data, its VR, and no offset tables"
            " (7FE0,0001) to (7FE0,0003).",
            "Photometric Interpretation (RGB where a decoder gives RGB), Planar Configuration (0).",
            "Bits Stored and High Bit, where a lossy stream holds larger values than they allow.",
            "Lossy Image Compression: 01 where the stream was lossy, and its method if none is"
            " named.",
            "Group lengths are left out; values of odd length are padded as PS3.5 6.2 says.",
            "The SOP Instance UID stays. Videos, encapsulated documents in compressed syntaxes, and"
            " what cannot be decoded exactly are never converted: that object fails.",
        )
    )
