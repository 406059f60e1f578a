"""What is left on the terminal after a crash: places in the code, no values."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from rich.text import Text

from tuipacs.errors import TuipacsError


def crash_report() -> Text:
    """Describe the exception being handled, without locals and without its message.

    A message may quote a patient's name or a password; only our own errors never do.
    """
    kind, error, trace = sys.exc_info()
    lines = ["tuipacs has crashed. The archive itself is another process and keeps running.", ""]
    for frame in traceback.extract_tb(trace)[-12:]:
        path = Path(frame.filename)
        lines.append(f"  {'/'.join(path.parts[-3:])}:{frame.lineno}  {frame.name}")
    name = kind.__name__ if kind else "unknown error"
    lines.append(f"{name}: {error.message}" if isinstance(error, TuipacsError) else name)
    return Text("\n".join(lines))
