"""The two ways in which a node hands over objects: C-MOVE to an AE title, and C-GET."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dimse.contract import Answer, Exchange, IsCancelled, Outcome, Reply, Request
from tuipacs.dimse.messages import comment_text
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import AnnouncedObject, ExpectedObjects
from tuipacs.domain.uid import MAX_UID_LENGTH, strip_uid
from tuipacs.errors import TuipacsError, UidMismatchError
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import Cancelled, Interrupted
from tuipacs.scu.c_get import MAX_STORAGE_CONTEXTS, get
from tuipacs.scu.c_move import Move
from tuipacs.scu.requestor import Context, Peer, open_association
from tuipacs.scu.suboperations import Retrieval
from tuipacs.services.ingest import Ingest
from tuipacs.services.reception import Reception

MAX_UIDS = 100  # in one request: a value of 16 bits of length holds a thousand, and peers less

# What objects may come in: as they are stored at the source, whatever that is.
_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless SV1
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.100",  # MPEG2 Main Profile
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC High Profile
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.107",  # HEVC
    "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.1.99",  # Deflated
    "1.2.840.10008.1.2.2",  # Big Endian
)
MAX_CLASSES = MAX_STORAGE_CONTEXTS // len(_SYNTAXES)

# Proposed, in the two syntaxes that every archive has, where a source does not tell the class.
_USUAL_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "2", "2.1", "3.1", "4", "4.1", "4.2"),
        *("6.1", "6.2", "7", "7.1", "7.2", "7.3", "7.4", "9.1.1", "9.1.2", "11.1", "12.1", "12.2"),
        *("13.1.3", "20", "66", "66.4", "77.1.1", "77.1.4", "77.1.5.1", "88.11", "88.22", "88.33"),
        *("88.59", "88.67", "104.1", "104.2", "128", "130", "481.1", "481.2", "481.3", "481.5"),
    )
)


NOTHING = ExpectedObjects(
    study_instance_uid="", series_instance_uid="", sop_instance_uids=frozenset()
)


class Way(Protocol):
    """How a request for objects is asked and followed."""

    def ask(
        self, question: Dataset, sop_classes: Sequence[str], expected: ExpectedObjects
    ) -> AbstractContextManager[Retrieval]:
        """A block in which the answers come. Raises `AssociationFailedError`."""
        ...


class MoveWay:
    """C-MOVE: the node opens an association of its own to an AE title that it knows."""

    def __init__(self, peer: Peer, destination: str) -> None:
        self._peer = peer
        self._destination = destination

    @contextmanager
    def ask(
        self, question: Dataset, sop_classes: Sequence[str], expected: ExpectedObjects
    ) -> Iterator[Retrieval]:
        """As `Way.ask`; classes and UIDs are told to whoever receives them."""
        contexts = [
            Context(STUDY_ROOT_MOVE, ExplicitVRLittleEndian),
            Context(STUDY_ROOT_MOVE, ImplicitVRLittleEndian),
        ]
        with open_association(self._peer, contexts) as association:
            yield Move(association, STUDY_ROOT_MOVE, question, self._destination)


class GetWay:
    """C-GET: the node sends on the association that we opened, through the door of all objects."""

    def __init__(
        self,
        peer: Peer,
        ingest: Ingest,
        actor: Actor,
        progress: Progress,
        on_object: Callable[[str, int], None],
        on_other: Callable[[str, str], None],
    ) -> None:
        self._peer = peer
        self._ingest = ingest
        self._actor = actor
        self._progress = progress
        self._on_object = on_object
        self._on_other = on_other  # a UID that was asked for, and why what came is not it
        self.unasked = 0  # objects that nobody had asked for
        self._asked = NOTHING
        self._expected: frozenset[str] = frozenset()
        self._taken: set[str] = set()

    @contextmanager
    def ask(
        self, question: Dataset, sop_classes: Sequence[str], expected: ExpectedObjects
    ) -> Iterator[Retrieval]:
        """As `Way.ask`. Other objects than those ``expected`` are refused, as is a second copy."""
        self._asked, self._expected, self._taken = expected, expected.sop_instance_uids, set()
        contexts = storage_contexts(sop_classes)
        with get(self._peer, STUDY_ROOT_GET, question, contexts, self._begin) as retrieval:
            yield retrieval

    def _begin(self, request: Request) -> Exchange:
        command = request.command
        uid = self._meant(strip_uid(command.sop_instance_uid))
        if not command.dataset_follows:
            return _refused(0xC000, "cannot understand", "no data set followed")
        if uid not in self._expected:
            self.unasked += 1
            return _refused(0x0124, "not authorized", "it was not asked for")
        if uid in self._taken:
            return _refused(0x0111, "duplicate SOP instance", "it came a moment ago")
        announced = AnnouncedObject(
            transfer_syntax_uid=request.context.transfer_syntax,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            calling_ae_title=self._peer.called_ae_title,
            called_ae_title=self._peer.calling_ae_title,
        )
        try:
            reception = self._ingest.fetch(self._actor, announced)
        except TuipacsError as error:
            return _failed(error)
        return _Fetching(self, uid, reception)

    def _meant(self, uid: str) -> str:
        """The one that was asked for, whose UID a source built on DCMTK cuts to 64 characters."""
        if uid in self._expected or len(uid) != MAX_UID_LENGTH:
            return uid
        cut = sorted(long for long in self._expected if long.startswith(uid))
        return next((long for long in cut if long not in self._taken), cut[0] if cut else uid)

    def pace(self, count: int) -> None:
        """As fast as the node's limit allows. What ends the run is seen by who follows it."""
        try:
            self._progress.pace(count)
        except (Cancelled, Interrupted):
            return

    def keep(self, uid: str, reception: Reception) -> None:
        """Keep an object that has come whole. Raises as `Ingest.keep_fetched`."""
        size = reception.size
        try:
            self._ingest.keep_fetched(self._actor, reception, self._asked)
        except UidMismatchError as error:
            self._on_other(uid, error.message)
            raise
        self._taken.add(uid)
        self._on_object(uid, size)


def storage_contexts(sop_classes: Sequence[str]) -> list[Context]:
    """What to propose for objects of these classes; "" stands for any of the usual ones."""
    named = [sop_class for sop_class in dict.fromkeys(sop_classes) if sop_class][:MAX_CLASSES]
    contexts = [Context(each, syntax) for each in named for syntax in _SYNTAXES]
    if "" in sop_classes:
        usual = [
            Context(each, syntax)
            for each in _USUAL_CLASSES
            if each not in named
            for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        ]
        contexts += usual[: MAX_STORAGE_CONTEXTS - len(contexts)]
    return contexts


class _Fetching:
    """One object on its way in."""

    __slots__ = ("_reception", "_uid", "_way")

    def __init__(self, way: GetWay, uid: str, reception: Reception) -> None:
        self._way = way
        self._uid = uid
        self._reception = reception

    def write(self, fragment: memoryview) -> None:
        self._way.pace(len(fragment))
        self._reception.write(fragment)

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        try:
            self._way.keep(self._uid, self._reception)
        except TuipacsError as error:
            return _answer(error)
        return Answer(0x0000, "Success", outcome=Outcome.STORED)

    def discard(self) -> None:
        self._reception.discard()


def _answer(error: TuipacsError) -> Answer:
    if isinstance(error, UidMismatchError):
        comment = comment_text(error.message)
        return Answer(0xA900, "data set does not match", comment, Outcome.REFUSED)
    return Answer(0xA700, "out of resources", comment_text(error.message), Outcome.REFUSED)


def _failed(error: TuipacsError) -> Reply:
    return Reply(_answer(error))


def _refused(status: int, meaning: str, comment: str) -> Reply:
    return Reply(Answer(status, meaning, comment, Outcome.REFUSED))
