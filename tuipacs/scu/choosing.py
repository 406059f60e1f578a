"""Which presentation contexts to propose for objects, and on which of those accepted one goes."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence

from tuipacs.dicom.pixels.codes import VIDEO
from tuipacs.dicom.transcoding.rules import FALLBACKS, TARGETS, targets_of, why_not
from tuipacs.dimse.syntaxes import is_transfer_syntax, name_of
from tuipacs.scu.requestor import Context
from tuipacs.scu.sources import SourceObject


def proposals(stored: Iterable[Context], preferred: Sequence[str] = ()) -> list[Context]:
    """What to propose for objects of these contexts, SOP class by SOP class.

    First what they are stored in, then what they could be made into: the ``preferred`` transfer
    syntaxes as far as they can be written, Explicit and Implicit VR Little Endian (PS3.5 10.1).
    """
    wanted: dict[str, dict[str, None]] = {}
    for context in stored:
        wanted.setdefault(context.abstract_syntax, {})[context.transfer_syntax] = None
    fallbacks = dict.fromkeys([*(uid for uid in preferred if uid in TARGETS), *FALLBACKS])
    for syntaxes in wanted.values():
        if any(map(targets_of, syntaxes)):
            syntaxes.update(fallbacks)
    return [Context(kind, syntax) for kind, syntaxes in wanted.items() for syntax in syntaxes]


def offer(held: Collection[str], proposed: Sequence[str]) -> str:
    """Which of a context's transfer syntaxes to take for sending objects stored in ``held`` ones.

    A video cannot be made into anything, so it comes first; then what most of the others can be
    sent in; if that is of one kind only, as it is rather than transcoded; then Explicit and
    Implicit VR Little Endian, and the requestor's order. Empty if none of them is a transfer
    syntax.
    """
    usable = [uid for uid in proposed if is_transfer_syntax(uid)]
    if videos := [uid for uid in usable if uid in VIDEO and uid in held]:
        return videos[0]
    ways = {uid: targets_of(uid) for uid in held}

    def worth(uid: str) -> tuple[int, bool, int]:
        as_it_is = uid in ways
        served = as_it_is + sum(uid in targets for targets in ways.values())
        rank = len(FALLBACKS) - FALLBACKS.index(uid) if uid in FALLBACKS else 0
        return served, as_it_is and served == 1, rank

    return max(usable, key=worth, default="")


def pick(source: SourceObject, accepted: Container[str], preferred: Sequence[str] = ()) -> str:
    """The transfer syntax to send an object in; empty if there is none.

    ``accepted`` are those that the peer took for its SOP class. What it is stored in comes first:
    then the bytes go out as they came in. ``preferred`` chooses among the others.
    """
    if source.transfer_syntax_uid in accepted:
        return source.transfer_syntax_uid
    if source.transcode is None:
        return ""
    targets = targets_of(source.transfer_syntax_uid, preferred)
    return next((uid for uid in targets if uid in accepted), "")


def refusal_words(source: SourceObject) -> str:
    """Why `pick` found nothing, of what the peer was not told to be at fault for."""
    stored = source.transfer_syntax_uid
    if not targets_of(stored):
        return f"it is stored in {name_of(stored)}, and {why_not(stored)}"
    return f"it is stored in {name_of(stored)}, and nothing that it can be made into was accepted"
