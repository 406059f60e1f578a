"""From a node that is known to a peer that can be called: where, as whom, and over what."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from tuipacs.certificates.checking import TlsFiles
from tuipacs.dimse.requestor.loop import RequestorSettings
from tuipacs.dimse.tls import client_context
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.safe_text import clean
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import nodes
from tuipacs.index.database import Index
from tuipacs.scu.requestor import Peer, PeerTls
from tuipacs.services.own_address import Listening, refuse_ourselves


class Calling:
    """Makes peers of nodes. Not a service: those that use it have asked for the right to call."""

    def __init__(self, index: Index, ae_title: str, tls: TlsFiles | None) -> None:
        self._index = index
        self._ae_title = ae_title
        self._tls = tls
        self.listening: Callable[[], Listening] = lambda: Listening("", ())

    def node(self, key: int) -> NodeRecord:
        """A node by its key. Raises `NotFoundError`."""
        found = self.find(key)
        if found is None:
            raise NotFoundError("there is no such node any more")
        return found

    def find(self, key: int) -> NodeRecord | None:
        """A node by its key, None if there is none any more."""
        with self._index.read() as reader:
            return nodes.node(reader, key)

    def titled(self, ae_title: str) -> NodeRecord:
        """The node of that title which can be called.

        Raises `NotFoundError`, and `UsageError` if it might be one place or another: objects that
        went to the wrong one cannot be taken back.
        """
        node = self._titled(ae_title)
        if node is None or not node.call.host:
            raise _no_node(ae_title)
        return node

    def _titled(self, ae_title: str) -> NodeRecord | None:
        """One that can be called comes first: it may call from several addresses."""
        with self._index.read() as reader:
            found = [node for node in nodes.all_nodes(reader) if node.ae_title == ae_title]
        callable_ = [node for node in found if node.call.host]
        if len({(node.call.host, node.call.port) for node in callable_}) > 1:
            keys = ", ".join(str(node.key) for node in callable_)
            raise UsageError(
                f"{clean(ae_title, limit=40)} names several nodes",
                remedy=f"give one of the keys {keys}",
            )
        return next(iter(callable_ or found), None)

    def named(self, key: int, ae_title: str) -> NodeRecord:
        """The node of that key, or where it is 0, of that AE title, or of the key it is in digits.

        Raises as `titled`; one that cannot be called is found, too.
        """
        if key:
            return self.node(key)
        titled = self._titled(ae_title)
        if titled is not None:
            return titled
        if ae_title.isascii() and ae_title.isdecimal() and len(ae_title) < 10:
            return self.node(int(ae_title))
        raise _no_node(ae_title)

    def peer(self, node: NodeRecord, service: CallService) -> Peer:
        """Whom to call for ``service``.

        Raises `UsageError` for a node that is not set up for it, or that is this archive itself,
        `ConfigError` and what reading them raises for TLS files that cannot be used. Files that
        were replaced are taken.
        """
        call, name = node.call, shlex.quote(node.ae_title)
        _check_host(node)
        if service not in call.services:
            wanted = ",".join(each for each in CallService if each in (*call.services, service))
            raise UsageError(
                f"{node.ae_title} is not asked for {service.value} from here",
                remedy=f"tuipacs node edit {name} --call {wanted}",
            )
        return self._peer(node)

    def reporting(self, node: NodeRecord) -> Peer:
        """Whom to tell what became of a storage commitment that ``node`` itself has asked for.

        Raises as `peer`.
        """
        _check_host(node)
        return self._peer(node)

    def _peer(self, node: NodeRecord) -> Peer:
        call = node.call
        refuse_ourselves(call, self.listening(), resolve=True)
        return Peer(
            host=call.host,
            port=call.port,
            called_ae_title=node.ae_title,
            calling_ae_title=call.calling_ae_title or self._ae_title,
            tls=self._peer_tls(node) if call.use_tls else None,
            settings=RequestorSettings(
                connect_timeout=call.connect_timeout,
                acse_timeout=call.acse_timeout,
                dimse_timeout=call.dimse_timeout,
                max_pdu=call.max_pdu,
            ),
        )

    def refuse_ourselves(self, call: NodeCall) -> None:
        """Raise `UsageError` if that is this archive; a host name is not looked up."""
        refuse_ourselves(call, self.listening(), resolve=False)

    def _peer_tls(self, node: NodeRecord) -> PeerTls:
        if self._tls is None or self._tls.ca is None:
            raise UsageError(
                f"{node.ae_title} is to be called over TLS, and tls.ca names nobody to trust",
                remedy="tuipacs tls ca, then set tls.certificate, tls.key and tls.ca",
            )
        context = client_context(self._tls.ca, certificate=self._tls.certificate, key=self._tls.key)
        return PeerTls(context, node.certificate_sha256)


def _check_host(node: NodeRecord) -> None:
    if not node.call.host:
        name = shlex.quote(node.ae_title)
        raise UsageError(
            f"{node.ae_title} has no host and port to be called at",
            remedy=f"tuipacs node edit {name} --host HOST --port PORT",
        )


def _no_node(ae_title: str) -> NotFoundError:
    return NotFoundError(
        f"no node is called {clean(ae_title, limit=40)}", remedy="tuipacs node list"
    )
