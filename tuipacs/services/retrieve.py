"""Retrieves by DICOM peers (C-MOVE, C-GET): the right to have objects sent, which, and records."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tuipacs.dicom.retrieve_identifier import RetrieveKeys, read_retrieve_identifier
from tuipacs.domain.actor import Actor
from tuipacs.domain.ae_title import strip_ae_title
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.find import LEVEL_WORDS, PATIENT_ID_TAG, STUDY_UID_TAG, FindModel
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import (
    ConfigError,
    InvalidQueryError,
    NotFoundError,
    TuipacsError,
    UnknownDestinationError,
    UsageError,
)
from tuipacs.index import audit, held_syntaxes, retrieve
from tuipacs.index.database import Index
from tuipacs.index.retrieve import Named
from tuipacs.scu.requestor import Peer
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, before_login, covered, guarded
from tuipacs.services.moving import Move, MoveOrigin
from tuipacs.services.repeats import Repeats
from tuipacs.services.retrieval import Records, Retrieval
from tuipacs.services.transfer import Transfer

log = logging.getLogger(__name__)

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
        self._alerted = Repeats()

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
        named = self._named(actor, request, to)
        records = self._records(actor, "retrieve.move", to, named)
        return Move(self._transfer, records, node, peer, origin, self._calling.node)

    @guarded(Permission.DICOM_GET, AuditEvent.BEGIN_TRANSFERRING)
    def get(self, actor: Actor, request: RetrieveRequest) -> Retrieval:
        """What a C-GET names; else as `move`."""
        about(detail="C-GET")
        named = self._named(actor, request, "C-GET")
        return Retrieval(self._transfer, self._records(actor, "retrieve.get", "C-GET", named))

    @before_login("no object is named yet: it is what tells in which form they could be given")
    def held_syntaxes(self, sop_class_uid: str) -> frozenset[str]:
        """The transfer syntaxes that objects of a SOP class are stored in; empty if not known."""
        try:
            with self._index.glance() as reader:
                return held_syntaxes.of_class(reader, sop_class_uid)
        except TuipacsError as error:
            log.error("what is held in which transfer syntax cannot be read: %s", error.code)
            return frozenset()

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

    def _named(self, actor: Actor, request: RetrieveRequest, what: str) -> Named:
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
                raise InvalidQueryError(
                    "the patient ID has several issuers: name (0010,0021)", tag=PATIENT_ID_TAG
                )
            named = retrieve.named(
                reader,
                patients=patients,
                studies=keys.studies,
                series=keys.series,
                instances=keys.instances,
            )
        error = _ambiguity(named, keys)
        if error is not None:
            self._alert(actor, what, error)
            raise error
        return named

    def _alert(self, actor: Actor, what: str, error: InvalidQueryError) -> None:
        """Somebody here has to find out whose pictures these are: say so once a minute."""
        now, uid = self._clock(), error.subject
        if self._alerted.report((uid,), now) is None:
            return
        record = new_record(
            AuditEvent.SECURITY_ALERT,
            "retrieve.ambiguous",
            now,
            actor=actor.name,
            kind=actor.kind,
            origin=actor.origin,
            outcome=AuditOutcome.REFUSED,
            detail=f"{what} refused: {error.message}",
            about=("", uid, "") if error.tag == PATIENT_ID_TAG else ("", "", uid),
        )
        with self._index.write() as tx:
            audit.append(tx, record)
        log.warning("a retrieve was refused for %s: %s", clean(uid, limit=64), error.message)

    def _records(self, actor: Actor, operation: str, what: str, named: Named) -> Records:
        """Write what begins, a record for each study; nothing is sent before that stands."""
        records = Records(self._index, self._clock, actor, operation, what, named)
        if named.shares:
            records.begin()
            covered()
        return records


def _ambiguity(named: Named, keys: RetrieveKeys) -> InvalidQueryError | None:
    """Why this is not sent: one UID, and objects of two patients or of two studies under it."""
    seen: set[str] = set()
    for share in named.shares:
        if share.study_instance_uid in seen:
            hint = "name (0010,0021)" if keys.patient_id is not None else "name (0010,0020)"
            return InvalidQueryError(
                f"a study UID has several patients: {hint}",
                tag=PATIENT_ID_TAG,
                subject=share.study_instance_uid,
            )
        seen.add(share.study_instance_uid)
    if named.repeated_uid:
        return InvalidQueryError(
            "a SOP Instance UID is in several studies: name one (0020,000D)",
            tag=STUDY_UID_TAG,
            subject=named.repeated_uid,
        )
    return None
