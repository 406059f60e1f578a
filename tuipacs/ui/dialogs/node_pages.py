"""The pages of the node dialog: their fields, and what is written in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.transfer_syntaxes import NAMES
from tuipacs.errors import UsageError
from tuipacs.ui.widgets.choices import Tick

T = TypeVar("T")

PAGES = ("who it is", "may do here", "we may ask", "limits")
MAY = {
    NodeService.ECHO: "test the connection (C-ECHO)",
    NodeService.STORE: "send to this archive (C-STORE)",
    NodeService.QUERY: "search in it (C-FIND)",
    NodeService.MOVE: "have objects sent to a node (C-MOVE)",
    NodeService.GET: "fetch objects (C-GET)",
    NodeService.COMMIT: "ask for storage commitment (N-ACTION)",
}
ASK = {
    CallService.ECHO: "test the connection (C-ECHO)",
    CallService.SEND: "objects are sent to it (C-STORE)",
    CallService.QUERY: "it is searched (C-FIND)",
    CallService.MOVE: "it sends what we ask for (C-MOVE)",
    CallService.GET: "we fetch from it (C-GET)",
    CallService.COMMIT: "it commits itself to storage (N-ACTION)",
}


class FieldError(Exception):
    """What is wrong with the field of that id."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class Page(Vertical):
    """One page; its number is in its class."""

    DEFAULT_CSS = """
    Page { height: auto; width: 1fr; padding: 0; }
    Page .page--title { color: $text-accent; text-style: bold; height: 1; display: none; }
    Page > .page--row { height: 1; width: 1fr; }
    Page > .page--row > Static { width: 19; height: 1; color: $text-muted; }
    Page > .page--row > Input { width: 1fr; margin: 0 !important; }
    """

    def __init__(self, number: int, *fields: Widget) -> None:
        title = Static(PAGES[number], markup=False, classes="page--title")
        super().__init__(title, *fields, id=f"page-{number}", classes="page")


class PageBar(Static, can_focus=True):
    """Which page is shown, and what the others are."""

    DEFAULT_CSS = """
    PageBar { height: 1; margin-bottom: 1; }
    PageBar:focus { background: $row-cursor; }
    """

    def show(self, current: int) -> None:
        """Mark a page."""
        parts = []
        for number, title in enumerate(PAGES):
            style = "bold reverse $text-accent" if number == current else "$text-muted"
            parts += [Content.styled(f" {title} ", style), Content(" ")]
        self.update(Content.assemble(*parts, Content.styled("  pgdn · ^s saves", "$text-muted")))


def row(name: str, value: str, field: str, *, longest: int = 64, hint: str = "") -> Widget:
    """A label with its field beside it."""
    return Horizontal(
        Static(name, markup=False),
        Input(value, id=field, max_length=longest, placeholder=hint),
        classes="page--row",
    )


def pages(node: NodeRecord) -> Iterable[Page]:
    """All pages, filled in with ``node``."""
    call = node.call
    asked = call.services or (() if call.host else tuple(ASK)[:4])
    yield Page(
        0,
        row("AE title", node.ae_title, "ae-title", longest=16),
        row("Description", node.description, "description", longest=200),
        row("It calls from", node.address, "address", hint="10.0.4.17 or 10.0.4.0/24; empty: any"),
        row("We call it at", call.host, "host", longest=253, hint="host or address; empty: never"),
        row("Port", str(call.port), "port", longest=5),
        row(
            "Its certificate",
            node.certificate_sha256,
            "certificate",
            longest=200,
            hint="SHA-256; empty: none of its own",
        ),
        Tick("we call it over TLS", call.use_tls, id="call-tls"),
        Tick("it may call over TLS only", node.require_tls, id="tls"),
        Tick("it has to name a user of this archive", node.require_identity, id="user"),
    )
    yield Page(
        1,
        *(Tick(words, s in node.services, id=f"may-{s.value}") for s, words in MAY.items()),
        row(
            "Character set",
            node.character_set,
            "character-set",
            longest=200,
            hint="where it names none, such as ISO_IR 100",
        ),
        row(
            "Answers at most", _number(node.max_results), "max-results", longest=8, hint="no limit"
        ),
        Tick(
            "commitment is reported where it was asked",
            call.report_on_same_association,
            id="same-association",
        ),
    )
    yield Page(
        2,
        *(Tick(words, s in asked, id=f"ask-{s.value}") for s, words in ASK.items()),
        row(
            "We call ourselves", call.calling_ae_title, "calling", longest=16, hint="our own title"
        ),
        row(
            "It prefers",
            ", ".join(NAMES.get(uid, uid) for uid in call.preferred_syntaxes),
            "prefers",
            longest=200,
            hint="ExplicitVRLittleEndian, ...",
        ),
    )
    yield Page(
        3,
        row("Jobs at once", str(call.max_associations), "jobs", longest=2),
        row("Window", call.window, "window", longest=13, hint="22:00-06:00; empty: always"),
        row("KiB/s", _number(call.kib_per_second), "rate", longest=8, hint="no limit"),
        row("PDU in bytes", str(call.max_pdu), "pdu", longest=7),
        row("Connection, s", f"{call.connect_timeout:g}", "connect", longest=5),
        row("Association, s", f"{call.acse_timeout:g}", "acse", longest=5),
        row("Answer, s", f"{call.dimse_timeout:g}", "dimse", longest=5),
    )


def _number(value: int) -> str:
    return str(value) if value else ""


class Answers:
    """Reads the fields of a dialog; what does not fit raises `FieldError`."""

    def __init__(self, dialog: Widget) -> None:
        self._dialog = dialog

    def text(self, field: str) -> str:
        """What is written in a field."""
        return self._dialog.query_one(f"#{field}", Input).value.strip()

    def tick(self, field: str) -> bool:
        """Whether it is ticked."""
        return self._dialog.query_one(f"#{field}", Tick).value

    def checked(self, field: str, check: Callable[[str], T]) -> T:
        """What ``check`` makes of a field."""
        try:
            return check(self.text(field))
        except UsageError as error:
            said = error.message[:1].upper() + error.message[1:]
            remedy = f": {error.remedy}" if error.remedy else ""
            raise FieldError(field, f"{said}{remedy}.") from None

    def number(self, field: str, check: Callable[[int], object]) -> int:
        """A whole number; an empty field is 0."""

        def read(text: str) -> int:
            if text and not (text.isascii() and text.isdecimal()):
                raise UsageError(f"{text} is no number")
            value = int(text or "0")
            check(value)
            return value

        return self.checked(field, read)

    def seconds(self, field: str, check: Callable[[float], object]) -> float:
        """A time in seconds."""

        def read(text: str) -> float:
            try:
                value = float(text)
            except ValueError:
                raise UsageError(f"{text or 'nothing'} is no number") from None
            check(value)
            return value

        return self.checked(field, read)
