"""Testing a node as a ladder: TCP, TLS, association, C-ECHO, C-FIND. Each rung says what it saw."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import msgspec
from cryptography.x509 import load_der_x509_certificate
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from tuipacs.certificates.reading import facts_of
from tuipacs.dimse.requestor.connection import connect
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.syntaxes import (
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    name_of,
)
from tuipacs.domain.dimse_status import answer_words
from tuipacs.domain.fingerprint import short_fingerprint
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.node_health import REFUSES, Rung, RungResult, Verdict
from tuipacs.domain.safe_text import clean
from tuipacs.errors import InvalidObjectError, TuipacsError
from tuipacs.scu.c_find import Matches
from tuipacs.scu.requestor import Association, Context, Peer, open_association
from tuipacs.services.calling import Calling
from tuipacs.services.node_remedies import remedy_for

CONNECT, ANSWER = 5.0, 10.0  # seconds at most: somebody sits there and waits
_STRAY = 20  # matches for a study that nobody has, then we go
_SOON = 30 * 86400.0  # a certificate's end
_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

_PROPOSED = {  # to see whether it is taken; for sending, a class that every archive should take
    CallService.ECHO: (VERIFICATION,),
    CallService.SEND: ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"),  # CT, SC
    CallService.QUERY: (STUDY_ROOT_FIND,),
    CallService.MOVE: (STUDY_ROOT_MOVE,),
    CallService.GET: (STUDY_ROOT_GET,),
    CallService.COMMIT: (STORAGE_COMMITMENT,),
}
_RUNGS = {Failure.NAME: Rung.TCP, Failure.CONNECTION: Rung.TCP, Failure.TLS: Rung.TLS}


class _BrokenError(Exception):
    """A rung that does not hold; with the result that says so."""

    def __init__(self, result: RungResult) -> None:
        super().__init__(result.words)
        self.result = result


def climb(
    node: NodeRecord, calling: Calling, told: Callable[[RungResult], None]
) -> tuple[RungResult, ...]:
    """All rungs in their order, each told as soon as it is known. Nothing is stored or sent.

    What the node is not asked for is skipped; after the first rung that breaks the others are not
    tried. Raises `UsageError` for a node that is never called, or that is this archive itself.
    """
    results: list[RungResult] = []
    with ExitStack() as stack:
        test = _Test(node, calling, stack)
        for rung, look in test.rungs.items():
            begun = time.monotonic()
            if words := test.skipped.get(rung):
                result = RungResult(rung=rung, verdict=Verdict.SKIPPED, words=words)
            elif any(each.is_broken for each in results):
                result = RungResult(rung=rung, verdict=Verdict.NOT_TRIED, words="not tried")
            else:
                try:
                    result = look()
                except _BrokenError as broken:
                    result = broken.result
                result = msgspec.structs.replace(result, seconds=time.monotonic() - begun)
            results.append(result)
            told(result)
    return tuple(results)


def echo(node: NodeRecord, calling: Calling) -> RungResult:
    """One C-ECHO: that rung, or a lower one that broke. Raises as `climb`."""
    begun = time.monotonic()
    peer = _hurried(calling.peer(node, CallService.ECHO))
    try:
        with _association(node, peer, (CallService.ECHO,)) as association:
            result = _echo(association)
    except _BrokenError as broken:
        result = broken.result
    return msgspec.structs.replace(result, seconds=time.monotonic() - begun)


class _Test:
    """What the rungs have in common: the peer, and the association that the last ones share."""

    def __init__(self, node: NodeRecord, calling: Calling, stack: ExitStack) -> None:
        self._node, self._calling, self._stack = node, calling, stack
        self._service = next(iter(node.call.services), CallService.ECHO)
        self._peer = _hurried(calling.peer(_in_clear(node), self._service))
        self._association: Association | None = None
        call = node.call
        self.skipped = {
            Rung.TLS: "" if call.use_tls else "it is called without TLS",
            Rung.ECHO: "" if CallService.ECHO in call.services else "it is not asked for echo",
            Rung.FIND: "" if CallService.QUERY in call.services else "it is not asked for query",
        }
        self.rungs = {
            Rung.TCP: self._tcp,
            Rung.TLS: self._tls,
            Rung.ASSOCIATION: self._associate,
            Rung.ECHO: self._echo,
            Rung.FIND: self._find,
        }

    def _tcp(self) -> RungResult:
        peer = self._peer
        try:
            connect(peer.host, peer.port, CONNECT, None).close()
        except AssociationFailedError as error:
            raise _broken(self._node, peer, error) from None
        return _passed(Rung.TCP, "something listens there")

    def _tls(self) -> RungResult:
        try:
            self._peer = peer = _hurried(self._calling.peer(self._node, self._service))
        except TuipacsError as error:  # our own files
            raise _BrokenError(_failed(Rung.TLS, error.message, "files", error.remedy)) from None
        try:
            with connect(peer.host, peer.port, CONNECT, peer.tls) as connection:
                return _shown(connection, self._node)
        except AssociationFailedError as error:
            raise _broken(self._node, peer, error) from None

    def _associate(self) -> RungResult:
        services = self._node.call.services
        association = self._stack.enter_context(_association(self._node, self._peer, services))
        self._association = association
        notes = _notes(association, services)
        name = association.version_name
        words = "accepted" + (f" by {name}" if name else "")
        if len(notes) > 1:
            words += ", but not all of it"
        return _passed(Rung.ASSOCIATION, words, notes)

    def _echo(self) -> RungResult:
        return _echo(self._open)

    def _find(self) -> RungResult:
        return _find(self._open)

    @property
    def _open(self) -> Association:
        if self._association is None:
            raise AssertionError("a rung above an association that there is not")
        return self._association


@contextmanager
def _association(
    node: NodeRecord, peer: Peer, services: Iterable[CallService]
) -> Iterator[Association]:
    """An association with what these services need; raises `_BrokenError` if none comes about."""
    uids = [uid for service in services for uid in _PROPOSED[service]]
    contexts = [Context(uid, syntax) for uid in uids for syntax in _SYNTAXES]
    opening = open_association(peer, contexts)
    try:
        association = opening.__enter__()
    except AssociationFailedError as error:
        raise _broken(node, peer, error) from None
    with ExitStack() as stack:
        stack.push(opening.__exit__)
        yield association


def _echo(association: Association) -> RungResult:
    if reason := _refused(association, VERIFICATION):
        return _failed(
            Rung.ECHO,
            f"C-ECHO is not taken: {reason}",
            "no-context",
            "odd, as every DICOM node has to take it: is it the right port and AE title?",
        )
    response = association.echo()
    if response.status is None:
        return _failed(Rung.ECHO, _without(association, response.comment), "no-answer", _ITS_LOG)
    if response.status != 0x0000:
        words = f"C-ECHO was answered {answer_words(response.status, response.comment)}"
        return _failed(Rung.ECHO, words, "status", _NOT_ALLOWED)
    return _passed(Rung.ECHO, "C-ECHO was answered 0x0000 success")


def _find(association: Association) -> RungResult:
    """Asks for a study that nobody has: the answer shows no patient."""
    if reason := _refused(association, STUDY_ROOT_FIND):
        return _failed(
            Rung.FIND, f"C-FIND (Study Root) is not taken: {reason}", "no-context", _NOT_ALLOWED
        )
    question = Dataset()
    question.QueryRetrieveLevel = "STUDY"
    question.StudyInstanceUID = generate_uid(None)
    matches = Matches(association, STUDY_ROOT_FIND, question)
    try:
        for number, _ in enumerate(matches, start=1):
            if number >= _STRAY:
                association.abort()
                return _failed(
                    Rung.FIND,
                    "it answers with studies that were not asked for",
                    "stray-matches",
                    "do not trust what it finds: it does not match on Study Instance UID",
                )
    except InvalidObjectError as error:
        association.abort()
        return _failed(Rung.FIND, error.message, "unreadable", _ITS_LOG)
    final = matches.final
    if final is None or final.status is None:
        said = final.comment if final else ""
        return _failed(Rung.FIND, _without(association, said), "no-answer", _ITS_LOG)
    if final.status != 0x0000:
        words = f"C-FIND was answered {answer_words(final.status, final.comment)}"
        return _failed(Rung.FIND, words, "status", _NOT_ALLOWED)
    return _passed(Rung.FIND, "C-FIND was answered 0x0000 success")


_ITS_LOG = "its own log says why; some go like this when our AE title is not allowed to ask"
_NOT_ALLOWED = "over there this archive's AE title may not be allowed to: look at its settings"


def _shown(connection: socket.socket, node: NodeRecord) -> RungResult:
    """What TLS has come to, and how long the certificate is good for."""
    if not isinstance(connection, ssl.SSLSocket):
        raise AssertionError("TLS was asked for")
    der = connection.getpeercert(binary_form=True) or b""
    facts = facts_of(load_der_x509_certificate(der))
    end = dt.datetime.fromtimestamp(facts.not_after).astimezone()
    bound = "bound to it" if node.certificate_sha256 else "trusted for its authority, not bound"
    notes = [
        f"certificate {short_fingerprint(facts.sha256)}, {bound}",
        f"issued to {clean(facts.subject, limit=80)}, valid until {end:%Y-%m-%d %H:%M}",
    ]
    words = connection.version() or "TLS"
    if facts.not_after - time.time() < _SOON:
        words += ", but its certificate ends soon"
    return _passed(Rung.TLS, words, tuple(notes))


def _notes(association: Association, services: Iterable[CallService]) -> tuple[str, ...]:
    """What is taken in one line, then a line for each thing that is not, with the reason."""
    taken: dict[CallService, None] = {}
    refused = []
    for service in services:
        for uid in _PROPOSED[service]:
            if reason := _refused(association, uid):
                refused.append(f"{REFUSES}{service}, {name_of(uid)}: {reason}")
            else:
                taken[service] = None
    return (f"takes {', '.join(taken)}", *refused)


def _refused(association: Association, uid: str) -> str:
    """Why no context of an abstract syntax was taken; empty if one was."""
    mine = [outcome for outcome in association.outcomes if outcome.abstract_syntax == uid]
    if any(outcome.accepted for outcome in mine):
        return ""
    return next((outcome.reason for outcome in mine), "it was not proposed")


def _broken(node: NodeRecord, peer: Peer, error: AssociationFailedError) -> _BrokenError:
    words = error.message.removeprefix(f"{peer} ")
    ours = peer.calling_ae_title
    remedy = remedy_for(error.failure, words, node, ours)
    rung = _RUNGS.get(error.failure, Rung.ASSOCIATION)
    return _BrokenError(_failed(rung, words, error.failure.value, remedy))


def _without(association: Association, said: str) -> str:
    return said.removeprefix(f"{association.peer} ") or "no answer came"


def _passed(rung: Rung, words: str, notes: tuple[str, ...] = ()) -> RungResult:
    return RungResult(rung=rung, verdict=Verdict.PASSED, words=words, notes=notes)


def _failed(rung: Rung, words: str, code: str, remedy: str) -> RungResult:
    return RungResult(rung=rung, verdict=Verdict.FAILED, words=words, code=code, remedy=remedy)


def _in_clear(node: NodeRecord) -> NodeRecord:
    call = msgspec.structs.replace(node.call, use_tls=False)
    return msgspec.structs.replace(node, call=call)


def _hurried(peer: Peer) -> Peer:
    own = peer.settings
    settings = replace(
        own,
        connect_timeout=min(own.connect_timeout, CONNECT),
        acse_timeout=min(own.acse_timeout, ANSWER),
        dimse_timeout=min(own.dimse_timeout, ANSWER),
    )
    return replace(peer, settings=settings)
