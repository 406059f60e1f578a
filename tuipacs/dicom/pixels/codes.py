"""The compressed transfer syntaxes (PS3.5 10), by what they need to be looked at."""

from __future__ import annotations

RLE = "1.2.840.10008.1.2.5"
#: One compressed picture a frame, which the decoders at hand can read.
CODESTREAMS = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    for number in (50, 51, 57, 70, 80, 81, 90, 91, 92, 93, 201, 202, 203)
)
LOSSLESS = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (57, 70, 80, 90, 92, 201, 202))
VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.{number}{fragmentable}"
    for number in range(100, 109)
    for fragmentable in ("", ".1")
)
