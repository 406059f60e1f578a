"""Give the keys typed during the probe to the running application."""

from __future__ import annotations

from textual import events
from textual._xterm_parser import XTermParser
from textual.driver import Driver


def replay(driver: Driver, typed: bytes) -> None:
    """Feed ``typed`` (``ProbeResult.typed``) to the app as if typed now; call it once, after mount.

    Goes through Textual's own parser, so arrows, function keys and pasted text arrive as such.
    """
    parser = XTermParser()
    text = typed.decode("utf-8", "replace")
    lone_escape = text.endswith("\x1b")  # the parser would wait for the rest of a sequence
    for message in parser.feed(text.removesuffix("\x1b")):
        driver.process_message(message)
    if lone_escape:
        driver.process_message(events.Key("escape", "\x1b"))
