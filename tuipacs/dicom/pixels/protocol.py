"""What the daemon and its decoder process say to each other over their socket pair.

Each message is four bytes of length, little endian, and msgpack. A request carries one open file
descriptor (SCM_RIGHTS), and a reply with a frame is followed by as many bytes of pixels as it says.
The decoder so needs no folder, no key and no path: later a memory file with decrypted bytes can be
handed over in the same way. A reply of length 0 says that the process is ready.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from tuipacs.domain.frame import Frame, WindowRequest

LENGTH = struct.Struct("<L")
MAX_REQUEST = 4096
MAX_REPLY = 1 << 20


class Request(Struct, frozen=True, kw_only=True, array_like=True):
    """``cpu_seconds``: processor time after which the process ends itself."""

    frame_number: int
    window: WindowRequest | None = None
    cpu_seconds: int


class Reply(Struct, frozen=True, kw_only=True, array_like=True):
    """``frame`` (whose pixels follow, ``pixel_bytes`` of them) or an error by its code."""

    frame: Frame | None = None
    pixel_bytes: int = 0
    error_code: str = ""
    message: str = ""
