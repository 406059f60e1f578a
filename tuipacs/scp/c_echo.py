"""Verification SCP (PS3.4 A)."""

from __future__ import annotations

from tuipacs.dimse.contract import Answer, AssociationInfo, Outcome, Reply, Request
from tuipacs.dimse.messages import C_ECHO_RQ
from tuipacs.dimse.syntaxes import VERIFICATION, is_verification_syntax
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import SUCCESS, refusal
from tuipacs.services.nodes import Nodes
from tuipacs.services.verification import Verification

_DONE = Answer(0x0000, SUCCESS, outcome=Outcome.OTHER)


class EchoProvider:
    """C-ECHO: answers those who may."""

    command_field = C_ECHO_RQ
    right = NodeService.ECHO

    def __init__(self, nodes: Nodes, verification: Verification) -> None:
        self._nodes = nodes
        self._verification = verification

    def serves(self, abstract_syntax: str) -> bool:
        """The Verification SOP class."""
        return abstract_syntax == VERIFICATION

    def takes(self, transfer_syntax: str) -> bool:
        """Any uncompressed one: there is no dataset."""
        return is_verification_syntax(transfer_syntax)

    def begin(self, association: AssociationInfo, request: Request) -> Reply:
        """Answer. Statuses: 0x0000, 0x0124 not authorized, 0x0110."""
        try:
            # Asked anew for each request: a node that was removed a moment ago is a stranger now.
            peer = self._nodes.admit(association.caller)
            self._verification.echo(peer.actor)
        except TuipacsError as error:
            return Reply(refusal(error))
        return Reply(_DONE)
