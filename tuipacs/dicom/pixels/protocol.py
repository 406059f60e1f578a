"""What the daemon and its decoder process say to each other over their socket pair.

Messages are msgpack, framed as of `tuipacs.dicom.helper_side`. A request carries one open file
descriptor (SCM_RIGHTS), and a reply with a frame is followed by as many bytes of pixels as it says.
The decoder so needs no folder, no key and no path: later a memory file with decrypted bytes can be
handed over in the same way.
"""

from __future__ import annotations

from msgspec import Struct

from tuipacs.domain.frame import Frame, WindowRequest

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
