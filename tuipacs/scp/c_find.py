"""Query SCP (PS3.4 C): C-FIND. Answers stream; a cancel is seen between any two."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tuipacs.dicom.find_identifier import MAX_IDENTIFIER
from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Exchange,
    IsCancelled,
    Outcome,
    Reply,
    Request,
)
from tuipacs.dimse.messages import C_FIND_RQ
from tuipacs.dimse.syntaxes import (
    PATIENT_ROOT_FIND,
    PATIENT_STUDY_ONLY_FIND,
    STUDY_ROOT_FIND,
    is_identifier_syntax,
)
from tuipacs.domain.find import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, FindModel
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import NO_IDENTIFIER, SUCCESS, refusal
from tuipacs.services.nodes import Nodes
from tuipacs.services.query import Ending, FindRequest, Found, Query

log = logging.getLogger(__name__)

MODELS: Mapping[str, FindModel] = MappingProxyType(
    {
        PATIENT_ROOT_FIND: PATIENT_ROOT,
        STUDY_ROOT_FIND: STUDY_ROOT,
        PATIENT_STUDY_ONLY_FIND: PATIENT_STUDY_ONLY,
    }
)

_RELATIONAL = b"\1"
_PENDING, _PENDING_WITH_WARNING = 0xFF00, 0xFF01
_DONE = Answer(0x0000, SUCCESS)
_CANCELLED = Answer(0xFE00, "Cancel")
_TOO_LARGE = Answer(
    0xA700, "out of resources", "the identifier is larger than 1 MiB", Outcome.REFUSED
)


class FindProvider:
    """C-FIND. ``ae_title`` is where the answers say that objects can be retrieved from.

    ``max_results``: answers to one query, 0 for all; a node may have a limit of its own.
    """

    command_field = C_FIND_RQ
    right = NodeService.QUERY

    def __init__(self, nodes: Nodes, query: Query, ae_title: str, max_results: int = 0) -> None:
        self._nodes = nodes
        self._query = query
        self._ae_title = ae_title
        self._max_results = max_results

    def serves(self, abstract_syntax: str) -> bool:
        """The information models that can be queried here."""
        return abstract_syntax in MODELS

    def takes(self, transfer_syntax: str) -> bool:
        """Implicit, explicit, and explicit big endian."""
        return is_identifier_syntax(transfer_syntax)

    def extend(self, abstract_syntax: str, information: bytes) -> bytes:
        """Of the extended behaviour (PS3.4 C.5.1.1) there are relational queries, and no other.

        No combined matching of date and time, no fuzzy names, no adjustment of time zones, no
        conversion to enhanced objects.
        """
        return bytes(number == 0 and byte == 1 for number, byte in enumerate(information[:5]))

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Gather the identifier, which has to follow."""
        if not request.command.dataset_follows:
            return Reply(NO_IDENTIFIER)
        return _Find(self, association, request)

    def found(self, association: AssociationInfo, request: Request, identifier: bytearray) -> Found:
        """What the service finds for the caller, as it is known at this moment."""
        peer = self._nodes.admit(association.caller)
        context = request.context
        agreed = association.extended.get(context.abstract_syntax, b"")
        return self._query.find(
            peer.actor,
            FindRequest(
                model=MODELS[context.abstract_syntax],
                identifier=identifier,
                transfer_syntax_uid=context.transfer_syntax,
                retrieve_ae_title=self._ae_title,
                is_relational=agreed[:1] == _RELATIONAL,
                assumed_character_set=peer.character_set,
                max_results=peer.max_results or self._max_results,
            ),
        )


class _Find:
    """One query. Statuses: 0x0000, 0xFE00, 0xFF00, 0xFF01, 0xA700, 0xA900, 0xC000, 0x0124."""

    def __init__(
        self, provider: FindProvider, association: AssociationInfo, request: Request
    ) -> None:
        self._provider = provider
        self._association = association
        self._request = request
        self._identifier = bytearray()
        self._is_too_large = False
        self._found: Found | None = None

    def write(self, fragment: memoryview) -> None:
        """Gather; beyond the limit let go of all."""
        if len(self._identifier) + len(fragment) > MAX_IDENTIFIER:
            self._is_too_large = True
            self._identifier.clear()
        if not self._is_too_large:
            self._identifier += fragment

    def finish(self, is_cancelled: IsCancelled) -> Answer | Iterator[Answer]:
        """Ask the index, then stream."""
        if self._is_too_large:
            return _TOO_LARGE
        try:
            self._found = self._provider.found(self._association, self._request, self._identifier)
        except TuipacsError as error:
            return refusal(error)
        return self._answers(self._found, is_cancelled)

    @staticmethod
    def _answers(found: Found, is_cancelled: IsCancelled) -> Iterator[Answer]:
        usual = _PENDING_WITH_WARNING if found.unsupported else _PENDING
        try:
            for identifier, is_whole in found.answers(is_cancelled):
                status = usual if is_whole else _PENDING_WITH_WARNING
                yield Answer(status, "Pending", dataset=identifier)
            found.end(_ending(found))
        except TuipacsError as error:
            _end(found, Ending.FAILED)
            yield refusal(error)
            return
        if found.limited:
            yield _limited(found.limit)
        else:
            yield _CANCELLED if found.cancelled else _DONE

    def discard(self) -> None:
        """If the answers were not taken to their end, say so in the audit log."""
        self._identifier.clear()
        if self._found is not None:
            _end(self._found, Ending.LOST)


def _ending(found: Found) -> Ending:
    if found.limited:
        return Ending.LIMITED
    return Ending.STOPPED if found.cancelled else Ending.COMPLETE


def _limited(limit: int) -> Answer:
    """More match than the caller may have: never a Success, and the comment says how many."""
    comment = f"more match than the {limit} that were sent: narrow the query"
    return Answer(0xA700, "out of resources", comment, Outcome.REFUSED)


def _end(found: Found, ending: Ending) -> None:
    """For a query that cannot succeed any more, with a record or without."""
    try:
        found.end(ending)
    except TuipacsError as error:
        log.error("a query that failed has no audit record: %s", error.message)
