"""A peer's answer to C-FIND, read within bounds: nothing here trusts a length or runs a codec list.

The texts are decoded as those of received objects are. Where an answer names no character set, that
of the node it came from is assumed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tuipacs.dicom.charset import CHARSET_VRS, charset_of
from tuipacs.dicom.form import form_of
from tuipacs.dicom.walk import walk
from tuipacs.domain.find import CHARACTER_SET_TAG
from tuipacs.errors import InvalidObjectError

MAX_TEXT = 512  # characters kept of one value


class MatchReader:
    """Reads answers. ``tags``: what is looked for, with the VR that each has by the standard."""

    def __init__(self, tags: Mapping[int, str]) -> None:
        self._tags = dict(tags)
        self._wanted = {
            struct.pack("<HH", tag >> 16, tag & 0xFFFF): tag for tag in (*tags, CHARACTER_SET_TAG)
        }

    def read(self, data: bytes, transfer_syntax: str, character_set: str = "") -> dict[int, str]:
        """Tag to text, without padding, of what the answer has; several values keep their ``\\``.

        ``character_set``: the defined term assumed where the answer names none. Raises
        `InvalidObjectError` for what is no dataset.
        """
        form = form_of(data, 0, transfer_syntax)
        if form.big_endian:
            raise InvalidObjectError("the answer is in big endian, which was not agreed on")
        walked = walk(
            data,
            form.start,
            implicit=form.implicit,
            big_endian=False,
            wanted=frozenset(self._wanted),
        )
        if walked.is_cut_short or walked.remarks:
            raise InvalidObjectError(f"the answer: {'; '.join(walked.remarks)}")
        values = {self._wanted[key]: raw for key, (_vr, raw) in walked.values.items()}
        named = values.pop(CHARACTER_SET_TAG, b"")[:256]
        charset = charset_of(named if named.strip(b" \0") else character_set.encode("ascii"))
        found = {}
        for tag, raw in values.items():
            vr = self._tags[tag]
            if vr in CHARSET_VRS:
                text, _ = charset.decode(raw[: MAX_TEXT * 4], is_name=vr == "PN")
            else:
                text = raw[: MAX_TEXT * 64].decode("latin_1")
            text = text.rstrip("\0 ").lstrip(" ")
            found[tag] = text if vr == "UI" else text[:MAX_TEXT]
        return found
