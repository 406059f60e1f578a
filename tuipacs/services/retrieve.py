"""Retrieves by DICOM peers (C-MOVE, C-GET): the right to have objects sent, which, and records."""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.dicom.retrieve_identifier import RetrieveKeys, read_retrieve_identifier
from tuipacs.domain.actor import Actor
from tuipacs.domain.ae_title import strip_ae_title
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.find import LEVEL_WORDS, PATIENT_ID_TAG, FindModel
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import (
    ConfigError,
    InvalidQueryError,
    NotFoundError,
    UnknownDestinationError,
    UsageError,
)
from tuipacs.index import retrieve
from tuipacs.index.database import Index
from tuipacs.index.retrieve import Named, Share
from tuipacs.scu.requestor import Peer
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.moving import Move, MoveOrigin
from tuipacs.services.retrieval import Records, Retrieval
from tuipacs.services.transfer import Transfer

_MAX_WORDS = 300  # characters of the audit record that tell the keys


@dataclass(frozen=True, kw_only=True)
class RetrieveRequest:
    """A C-MOVE or C-GET request: its identifier as it came, and how to read it.

    ``is_relational``: as extended negotiation has allowed. ``character_set``: a defined term for
    an identifier that names none.
    """

    model: FindModel
    identifier: bytes | bytearray
    transfer_syntax_uid: str
    is_relational: bool = False
    character_set: str = ""


class Retrieve(Service):
    """The retrieve service (PS3.4 C.4.2, C.4.3). ``ae_title`` is this archive's."""

    def __init__(
        self, index: Index, clock: Clock, transfer: Transfer, calling: Calling, ae_title: str
    ) -> None:
        super().__init__(index, clock)
        self._transfer = transfer
        self._calling = calling
        self._ae_title = strip_ae_title(ae_title)

    @guarded(Permission.DICOM_MOVE, AuditEvent.BEGIN_TRANSFERRING)
    def move(
        self, actor: Actor, request: RetrieveRequest, destination: str, origin: MoveOrigin
    ) -> Move:
        """What a C-MOVE names, on its way to a known node.

        What begins is recorded for each study before anything leaves, and what became of it when it
        ends (`Retrieval.end`). Raises `UnknownDestinationError`, `ConfigError` if its TLS cannot be
        used, `InvalidQueryError` for an identifier that is refused.
        """
        to = f"C-MOVE to {clean(strip_ae_title(destination), limit=40)}"
        about(detail=to)
        node, peer = self._destination(destination)
        named = self._named(request, to)
        records = self._records(actor, "retrieve.move", to, named)
        return Move(self._transfer, records, node, peer, origin)

    @guarded(Permission.DICOM_GET, AuditEvent.BEGIN_TRANSFERRING)
    def get(self, actor: Actor, request: RetrieveRequest) -> Retrieval:
        """What a C-GET names; else as `move`."""
        about(detail="C-GET")
        named = self._named(request, "C-GET")
        return Retrieval(self._transfer, self._records(actor, "retrieve.get", "C-GET", named))

    def _destination(self, ae_title: str) -> tuple[NodeRecord, Peer]:
        """Whom to send to. A node that is not there at the moment is found out by calling it."""
        title = strip_ae_title(ae_title)
        if title == self._ae_title:
            raise UnknownDestinationError("this archive is no destination of its own")
        try:
            node = self._calling.titled(title)
            return node, self._calling.peer(node, CallService.SEND)
        except ConfigError:
            raise
        except (NotFoundError, UsageError) as error:
            raise UnknownDestinationError(error.message) from error
        except OSError as error:
            raise ConfigError(f"the TLS files cannot be read: {error.strerror}") from error

    def _named(self, request: RetrieveRequest, what: str) -> Named:
        keys = read_retrieve_identifier(
            request.identifier,
            request.transfer_syntax_uid,
            request.model,
            is_relational=request.is_relational,
            assumed_character_set=request.character_set,
        )
        words = f"{what}: {request.model.name} {LEVEL_WORDS[keys.level]}: {keys.words}"
        about(
            detail=words[:_MAX_WORDS],
            patient_id=(keys.patient_id or "")[:64],
            study_instance_uid=keys.studies[0][:64] if len(keys.studies) == 1 else "",
        )
        with self._index.read() as reader:
            patients = None
            if keys.patient_id is not None:
                patients = retrieve.patients(reader, keys.patient_id, keys.issuer)
            if keys.level is Level.PATIENT and len(patients or ()) > 1:
                raise _ambiguous("the patient ID has several issuers: name (0010,0021)")
            named = retrieve.named(
                reader,
                patients=patients,
                studies=keys.studies,
                series=keys.series,
                instances=keys.instances,
            )
        _check_one_patient_each(named.shares, keys)
        return named

    def _records(self, actor: Actor, operation: str, what: str, named: Named) -> Records:
        """Write what begins, a record for each study; nothing is sent before that stands."""
        records = Records(self._index, self._clock, actor, operation, what, named)
        if named.shares:
            records.begin()
            covered()
        return records


def _check_one_patient_each(shares: tuple[Share, ...], keys: RetrieveKeys) -> None:
    """Under one Study Instance UID nobody is sent the pictures of two patients."""
    if len({share.study_instance_uid for share in shares}) < len(shares):
        hint = "name (0010,0021)" if keys.patient_id is not None else "name (0010,0020)"
        raise _ambiguous(f"a study UID has several patients: {hint}")


def _ambiguous(words: str) -> InvalidQueryError:
    return InvalidQueryError(words, tag=PATIENT_ID_TAG)
