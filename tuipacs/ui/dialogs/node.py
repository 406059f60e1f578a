"""A new known node: its AE title, where it may come from, and what it may do."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import ConflictError, TuipacsError, UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.ui.dialogs.dialog import Dialog, label
from tuipacs.ui.screens.first_run import check_ae_title
from tuipacs.ui.widgets.choices import Tick
from tuipacs.ui.widgets.push_button import PushButton

_MAY = {
    NodeService.ECHO: "test the connection (C-ECHO)",
    NodeService.STORE: "send (C-STORE)",
    NodeService.QUERY: "search in this archive (C-FIND)",
}


def check_address(value: str) -> str:
    """Why ``value`` is neither an address nor a network; empty when it is one, or empty."""
    if not value:
        return ""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return "The address is like 10.0.4.17 or 10.0.4.0/24; empty allows any."
    return ""


def check_certificate(value: str) -> str:
    """Why ``value`` is no SHA-256; empty when it is one, or empty."""
    try:
        check_fingerprint(value)
    except UsageError:
        return "The SHA-256 has 64 hexadecimal digits: tuipacs tls show FILE prints it."
    return ""


class NodeDialog(Dialog[NodeRecord]):
    """Adds a node and answers with it; what was typed stays while the archive refuses it."""

    heading = "Add a node"
    AUTO_FOCUS = "#ae-title"

    def __init__(
        self,
        *,
        ae_title: str = "",
        address: str = "",
        services: tuple[NodeService, ...] = (NodeService.ECHO, NodeService.STORE),
        certificate: str = "",
    ) -> None:
        super().__init__()
        self._certificate = certificate
        self._ae_title, self._address, self._services = ae_title, address, services

    def compose_form(self) -> Iterable[Widget]:
        yield label("AE title it calls with")
        yield Input(self._ae_title, id="ae-title", max_length=16)
        yield label("Address it comes from (empty: any)")
        yield Input(self._address, id="address", max_length=64)
        yield label("Description")
        yield Input(id="description", max_length=200)
        yield label("It may")
        for service, words in _MAY.items():
            yield Tick(words, service in self._services, id=f"may-{service.value}")
        yield label("SHA-256 of its certificate (empty: none of its own)")
        yield Input(self._certificate, id="certificate", max_length=200)
        yield Tick("only over TLS", False, id="tls")
        yield Tick("only with a user of this archive (user identity)", False, id="user")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Add", id="ok")

    def chosen(self, button: str) -> None:
        ae_title = self.query_one("#ae-title", Input).value.strip(" ")
        address = self.query_one("#address", Input).value.strip()
        certificate = self.query_one("#certificate", Input).value.strip()
        services = tuple(s for s in _MAY if self.query_one(f"#may-{s.value}", Tick).value)
        reason = check_ae_title(ae_title) or check_address(address)
        if not reason and not services:
            reason = "Which service may it use?"
        reason = reason or check_certificate(certificate)
        if reason:
            self.complain(reason)
            return
        request = NodeAddRequest(
            ae_title=ae_title,
            address=address,
            services=services,
            description=self.query_one("#description", Input).value.strip(),
            certificate_sha256=check_fingerprint(certificate),
            require_tls=self.query_one("#tls", Tick).value,
            require_identity=self.query_one("#user", Tick).value,
        )
        self.ask(op.NODE_ADD, request, self._added)

    def _added(self, node: NodeRecord) -> None:
        self.notify(f"{node.ae_title} is a known node now", markup=False)
        self.dismiss(node)

    def refused(self, error: TuipacsError) -> str:
        if isinstance(error, ConflictError):
            return f"{error.message}. To change a node remove it first (esc, g n, d), then add it."
        return super().refused(error)
