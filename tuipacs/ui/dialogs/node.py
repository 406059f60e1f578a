"""A known node, new or changed: who it is, what it may, what it is asked for, and how much."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual.binding import Binding
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Button

from tuipacs.domain.ae_title import check_ae_title, looks_like_pattern
from tuipacs.domain.character_sets import check_character_set
from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.domain.network import check_node_address
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.node_rules import check_host, check_limit, check_max_results, check_window
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.transfer_syntaxes import check_preferred
from tuipacs.errors import ConflictError, TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeAddRequest, NodeEditRequest
from tuipacs.ui.dialogs.dialog import Dialog
from tuipacs.ui.dialogs.node_pages import ASK, MAY, PAGES, Answers, FieldError, PageBar, pages
from tuipacs.ui.widgets.push_button import PushButton

_WIDE, _HIGH = 140, 36  # cells from which on there is room for all pages


class NodeDialog(Dialog[NodeRecord]):
    """Adds or changes a node and answers with it; what was typed stays while it is refused.

    Four pages on a small terminal, all at once on a large one.
    """

    AUTO_FOCUS = "#ae-title"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (_HIGH, "-high")]
    BINDINGS = [
        Binding("pagedown", "turn(1)", show=False, priority=True),
        Binding("pageup", "turn(-1)", show=False, priority=True),
        Binding("ctrl+s", "save", show=False, priority=True),
        Binding("left", "turn_or_focus(-1)", show=False),
        Binding("right", "turn_or_focus(1)", show=False),
    ]

    DEFAULT_CSS = """
    NodeDialog > .dialog--card { width: 74; }
    NodeDialog #pages { height: auto; min-height: 10; }
    NodeDialog .page { display: none; }
    NodeDialog .page.-current { display: block; }
    NodeDialog.-wide.-high {
        & > .dialog--card { width: 130; }
        & PageBar { display: none; }
        & #pages { layout: grid; grid-size: 2 2; grid-gutter: 1 4; grid-rows: auto; }
        & .page { display: block; }
        & .page--title { display: block; margin-bottom: 1; }
    }
    """

    def __init__(
        self,
        *,
        ae_title: str = "",
        address: str = "",
        services: tuple[NodeService, ...] = (NodeService.ECHO, NodeService.STORE),
        certificate: str = "",
        node: NodeRecord | None = None,
    ) -> None:
        super().__init__()
        self.heading = "Change a node" if node else "Add a node"
        self._before = node
        self._start = node or NodeRecord(
            key=0,
            ae_title=ae_title,
            address=address,
            services=services,
            description="",
            created_at=0.0,
            certificate_sha256=certificate,
        )
        self._page = 0

    def compose_form(self) -> Iterable[Widget]:
        yield PageBar(markup=False)
        yield Container(*pages(self._start), id="pages")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Save" if self._before else "Add", id="ok")

    def on_mount(self) -> None:
        """Begin with the first page, or all of them: known before the first size is told."""
        width, height = self.app.size
        self.set_class(width >= _WIDE, "-wide")
        self.set_class(height >= _HIGH, "-high")
        self._show(0)

    def _show(self, number: int) -> None:
        self._page = number
        self.query_one(PageBar).show(number)
        for index in range(len(PAGES)):
            self.query_one(f"#page-{index}").set_class(index == number, "-current")

    def action_save(self) -> None:
        """From whichever field, behind the letters that were typed into it before."""
        widget = self.focused or self
        widget.call_later(self.chosen, "ok")

    def action_turn(self, by: int) -> None:
        """Another page, and its first field."""
        on_bar = isinstance(self.focused, PageBar)
        self._show((self._page + by) % len(PAGES))
        if not on_bar:
            fields = self.query(f"#page-{self._page} Input, #page-{self._page} Tick")
            self.set_focus(next(iter(fields), None))

    def action_turn_or_focus(self, by: int) -> None:
        """On the bar the arrows turn pages; elsewhere they go to another field."""
        if isinstance(self.focused, PageBar):
            self.action_turn(by)
        elif by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def chosen(self, button: str) -> None:
        try:
            request = self._request(Answers(self))
        except FieldError as error:
            self._point_at(error)
            return
        if self._before is None:
            self.ask(op.NODE_ADD, request, self._done)
        else:
            change = NodeEditRequest(seen=self._before, node=request)
            self.ask(op.NODE_EDIT, change, self._done)

    def _point_at(self, error: FieldError) -> None:
        field = self.query_one(f"#{error.field}")
        page = next(p for p in range(len(PAGES)) if field in self.query(f"#page-{p} *"))
        self._show(page)
        self.complain(error.reason)
        self.set_focus(field)

    def _request(self, answers: Answers) -> NodeAddRequest:
        ae_title = answers.checked("ae-title", check_ae_title)
        address = answers.checked("address", check_node_address)
        call = self._call(answers)
        services = tuple(each for each in MAY if answers.tick(f"may-{each.value}"))
        if not services and not call.host:
            raise FieldError(
                f"may-{NodeService.ECHO.value}",
                "Which service may it use? Or give the host it is called at.",
            )
        return NodeAddRequest(
            ae_title=ae_title,
            address=address,
            services=services,
            description=answers.text("description"),
            certificate_sha256=answers.checked("certificate", check_fingerprint),
            require_tls=answers.tick("tls"),
            require_identity=answers.tick("user"),
            call=call,
            character_set=answers.checked("character-set", check_character_set),
            max_results=answers.number("max-results", check_max_results),
        )

    def _call(self, answers: Answers) -> NodeCall:
        host = answers.checked("host", check_host)
        services = tuple(each for each in ASK if host and answers.tick(f"ask-{each.value}"))
        if host and not services:
            reason = "What may it be asked for? Or leave the host empty."
            raise FieldError(f"ask-{CallService.ECHO.value}", reason)
        number, seconds = answers.number, answers.seconds
        return NodeCall(
            host=host,
            services=services,
            port=number("port", partial(check_limit, "port")),
            use_tls=answers.tick("call-tls"),
            report_on_same_association=answers.tick("same-association"),
            calling_ae_title=answers.checked(
                "calling", lambda text: check_ae_title(text) if text else ""
            ),
            preferred_syntaxes=answers.checked(
                "prefers", lambda text: check_preferred(filter(None, text.split(",")))
            ),
            max_associations=number("jobs", partial(check_limit, "max_associations")),
            window=answers.checked("window", check_window),
            kib_per_second=number("rate", partial(check_limit, "kib_per_second")),
            max_pdu=number("pdu", partial(check_limit, "max_pdu")),
            connect_timeout=seconds("connect", partial(check_limit, "connect_timeout")),
            acse_timeout=seconds("acse", partial(check_limit, "acse_timeout")),
            dimse_timeout=seconds("dimse", partial(check_limit, "dimse_timeout")),
        )

    def _done(self, node: NodeRecord) -> None:
        done = "is changed" if self._before else "is a known node now"
        self.notify(f"{node.ae_title} {done}", markup=False)
        if looks_like_pattern(node.ae_title):
            words = f"{node.ae_title} is taken letter by letter: it is no pattern here"
            self.notify(words, severity="warning", markup=False)
        self.dismiss(node)

    def refused(self, error: TuipacsError) -> str:
        if isinstance(error, ConflictError):
            return f"{error.message}. To change that one: esc, g n, e."
        return super().refused(error)
