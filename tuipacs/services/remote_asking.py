"""One node's share of a query: an association, its answers one by one, and how it ended in words.

Everything a peer says is doubted: its answers are read within bounds, those to another question are
dropped and counted, and a list counts as whole only with a final success.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.syntaxes import PATIENT_ROOT_FIND
from tuipacs.domain.dimse_status import answer_words
from tuipacs.domain.ingest import UNSAID, SaidPatient
from tuipacs.domain.level import Level
from tuipacs.domain.remote import NodeState, RemoteRow
from tuipacs.domain.remote_keys import Key
from tuipacs.domain.safe_text import clean
from tuipacs.errors import InvalidObjectError, TuipacsError, UnavailableError, UsageError
from tuipacs.scu.c_find import STUDY_ROOT, Matches
from tuipacs.scu.requestor import Association, Context, Peer, Response, open_association
from tuipacs.services.remote_identifier import Answers, Unasked, UnusableUidError, identifier
from tuipacs.services.remote_tasks import Part

NODE_SECONDS = 180.0  # that one node may take for a query
MAX_LISTED = 100_000  # series of a study, or instances of a series

_LISTS = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_REFUSING = frozenset((Failure.REJECTED, Failure.NO_CONTEXT, Failure.IDENTITY))


@contextmanager
def asking(peer: Peer) -> Iterator[Association]:
    """An association to ask on.

    Raises as `open_association` does, and `UsageError` for a node that takes Patient Root alone: it
    is proposed so that this can be said.
    """
    contexts = [
        Context(model, syntax)
        for model in (STUDY_ROOT, PATIENT_ROOT_FIND)
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    ]
    with open_association(peer, contexts) as association:
        if not association.has(STUDY_ROOT):
            title = clean(peer.called_ae_title, limit=40)
            raise UsageError(
                f"{title} takes Patient Root queries only, and Study Root is what it is asked in",
                remedy=f"switch on the Study Root models for C-FIND and C-MOVE or C-GET at {title}",
            )
        yield association


def ask(
    part: Part,
    peer: Peer,
    level: Level,
    questions: Sequence[Sequence[Key]],
    character_set: str,
) -> None:
    """Ask one node all questions, and end its part whatever comes. Never raises for a peer."""
    try:
        with asking(peer) as association:
            part.asks(association.cut)
            if part.stopped:
                return
            seen: set[RemoteRow] = set()
            for keys in questions:
                if not _ask_one(part, association, level, keys, character_set, seen):
                    return
        part.end(NodeState.COMPLETE)
    except AssociationFailedError as error:
        refused = error.failure in _REFUSING
        state = NodeState.REFUSED if refused else NodeState.UNREACHABLE
        _end(part, state, error.message)
    except UsageError as error:
        _end(part, NodeState.REFUSED, _words(error))
    except TuipacsError as error:
        _end(part, NodeState.FAILED, _words(error))
    finally:
        if part.stopped:
            part.end(NodeState.CANCELLED, part.stopped)


def _end(part: Part, state: NodeState, words: str) -> None:
    if not part.stopped:
        part.end(state, words)


def _words(error: TuipacsError) -> str:
    return f"{error.message} ({error.remedy})" if error.remedy else error.message


def _ask_one(
    part: Part,
    association: Association,
    level: Level,
    keys: Sequence[Key],
    character_set: str,
    seen: set[RemoteRow],
) -> bool:
    """Whether the answers came to a good end, and the next question may follow."""
    answers = Answers(part.node, level, keys, character_set)
    matches = Matches(association, STUDY_ROOT, identifier(level, keys, character_set))
    own: set[RemoteRow] = set()  # what is known from another question is no repetition
    is_full = False
    for data in matches.datasets():
        if part.stopped:
            matches.cancel()
        elif not is_full and (row := _read(part, answers, data, matches.transfer_syntax)):
            if row in own:
                part.repeated()
            elif row not in seen and not part.row(row):
                is_full = True
                matches.cancel()
                part.drains()
                continue
            own.add(row)
            seen.add(row)
    if part.stopped:
        return False
    if is_full:
        part.end(
            NodeState.LIMITED,
            f"only the first {len(seen):,} are shown: narrow the question",
        )
        return False
    return _ended_well(part, matches.final or Response(None, "there was no last answer"))


def _read(part: Part, answers: Answers, data: bytes, transfer_syntax: str) -> RemoteRow | None:
    try:
        return answers.read(data, transfer_syntax)
    except UnusableUidError as error:
        part.malformed(error.fault)
    except InvalidObjectError:
        part.malformed()
    except Unasked:
        part.unasked()
    return None


def _ended_well(part: Part, final: Response) -> bool:
    if final.status == 0x0000:
        return True
    if final.status is None:
        part.end(NodeState.FAILED, final.comment)
    elif final.status in range(0xA700, 0xA800) and part.answer.rows:
        part.end(
            NodeState.LIMITED,
            f"the node gives no more: {answer_words(final.status, final.comment)}",
        )
    elif final.status == 0xFE00:
        part.end(NodeState.CANCELLED, "the node ended it: there may be more")
    else:
        part.end(NodeState.REFUSED, answer_words(final.status, final.comment))
    return False


class ListBrokenError(UnavailableError):
    """A list that broke off: nothing more can be asked on this association."""


@dataclass(frozen=True)
class Unusable:
    """What a node lists under a UID that nobody could keep it under. ``uid``: clean, may be ""."""

    uid: str
    fault: str  # "a SOP Instance UID of 140 characters"


@dataclass(frozen=True)
class Listed:
    """What a node has below something. ``unreadable``: answers that were no datasets, so anything
    may be missing in ``rows``.
    """

    rows: tuple[RemoteRow, ...]
    unusable: tuple[Unusable, ...] = ()
    unreadable: int = 0


class Lister:
    """Whole lists of what is below a study, on one association."""

    def __init__(self, association: Association, node: int, character_set: str = "") -> None:
        self._association = association
        self._node = node
        self._character_set = character_set

    def patient(self, study_instance_uid: str) -> SaidPatient:
        """Whose a study is. Nobody's if the node does not say, or says that it is of several.

        Asked of the study: below it, those that keep to PS3.4 C.4.1.3.1.1 (DCMTK) refuse to say.
        Raises `ListBrokenError`.
        """
        try:
            rows = self._list(Level.STUDY, (_key("StudyInstanceUID", study_instance_uid),)).rows
        except ListBrokenError:
            raise
        except UnavailableError:
            return UNSAID
        said = {SaidPatient(row.patient_id, row.issuer_of_patient_id) for row in rows}
        return said.pop() if len(said) == 1 else UNSAID

    def series(self, study_instance_uid: str) -> Listed:
        """The series of a study.

        Raises `UnavailableError` if the node does not give the whole list, `ListBrokenError` if it
        can give no other one either.
        """
        return self._list(Level.SERIES, (_key("StudyInstanceUID", study_instance_uid),))

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> Listed:
        """The instances of a series. Raises as `series` does."""
        above = (
            _key("StudyInstanceUID", study_instance_uid),
            _key("SeriesInstanceUID", series_instance_uid),
        )
        return self._list(Level.INSTANCE, above)

    def _list(self, level: Level, keys: Sequence[Key]) -> Listed:
        answers = Answers(self._node, level, keys, self._character_set)
        question = identifier(level, keys, self._character_set)
        matches = Matches(self._association, STUDY_ROOT, question)
        found: dict[tuple[str, str, str], RemoteRow] = {}
        unusable: dict[str | int, Unusable] = {}
        unreadable = 0
        for data in matches.datasets():
            try:
                row = answers.read(data, matches.transfer_syntax)
            except UnusableUidError as error:  # those without any are not one and the same
                unusable[error.uid or len(unusable)] = Unusable(error.shown, error.fault)
            except InvalidObjectError:
                unreadable += 1
            except Unasked:
                continue  # of another study: nothing that was asked for is missing
            else:
                found.setdefault((row.uid, row.patient_id, row.issuer_of_patient_id), row)
            if len(found) + len(unusable) + unreadable > MAX_LISTED:
                raise ListBrokenError(f"the node lists more than {MAX_LISTED:,}: not believed")
        final = matches.final or Response(None, "there was no last answer")
        what = _LISTS[level]
        if final.status is None:
            raise ListBrokenError(f"the list of {what} broke off: {final.comment}")
        if final.status != 0x0000:
            raise UnavailableError(
                f"the list of {what} was refused: {answer_words(final.status, final.comment)}"
            )
        return Listed(tuple(found.values()), tuple(unusable.values()), unreadable)


def _key(keyword: str, uid: str) -> Key:
    return Key(keyword, "UI", uid)
