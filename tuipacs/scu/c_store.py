"""C-STORE as a sender: one association, each object with the peer's own status (PS3.4 B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from tuipacs.dicom.part10 import read_part10
from tuipacs.scu.requestor import Association, Context, Peer, Response, open_association

WARNINGS = frozenset((0xB000, 0xB006, 0xB007))  # PS3.4 B.2.3: stored, with a remark


@dataclass(frozen=True)
class StoreOutcome:
    """What became of one object. ``status`` is None when it was not sent or not answered."""

    sop_instance_uid: str
    status: int | None
    comment: str = ""

    @property
    def stored(self) -> bool:
        """True only for a success or a warning from the peer itself."""
        return self.status == 0x0000 or self.status in WARNINGS


def context_of(dataset: Dataset) -> Context:
    """What has to be proposed for a dataset that carries its file meta information."""
    return Context(str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID))


def store_datasets(
    peer: Peer, datasets: Iterable[Dataset], contexts: Sequence[Context]
) -> Iterator[StoreOutcome]:
    """Send datasets as they come; ``contexts`` names all that will be needed.

    Yields one outcome for each dataset, also for those that could no longer be sent. Raises
    `UnavailableError` if no association comes about. Closing the iterator aborts the association.
    """
    with open_association(peer, contexts) as association:
        for dataset in datasets:
            yield _store(association, dataset, context_of(dataset), str(dataset.SOPInstanceUID))


def store_files(peer: Peer, paths: Sequence[Path]) -> Iterator[StoreOutcome]:
    """Send Part 10 files in their own transfer syntaxes, their bytes unchanged.

    Raises `InvalidObjectError` and `OSError` for a file that cannot be sent, before anything is
    sent, else like `store_datasets`.
    """
    heads = [read_part10(path) for path in paths]
    needed = [Context(head.media_storage_sop_class_uid, head.transfer_syntax_uid) for head in heads]
    with open_association(peer, sorted(set(needed))) as association:
        for path, head, context in zip(paths, heads, needed, strict=True):
            yield _store(association, path, context, head.media_storage_sop_instance_uid)


def _store(
    association: Association, source: Dataset | Path, context: Context, uid: str
) -> StoreOutcome:
    if not association.is_open:
        response = Response(None, "not sent: the association has ended")
    elif not association.accepts(context):
        response = Response(None, "not sent: the peer did not accept its SOP class and syntax")
    else:
        response = association.store(source)
    return StoreOutcome(uid, response.status, response.comment)
