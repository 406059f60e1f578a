"""The last answer of a C-MOVE or C-GET: its counts, its list and its comment say the same."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from tests.unit.find_rows import EXPLICIT, answer
from tuipacs.dimse.contract import AcceptedContext, Answer, Command, Request
from tuipacs.dimse.requestor.faults import Failure
from tuipacs.errors import UnavailableError
from tuipacs.index.retrieve import Named, Share
from tuipacs.scp.retrieving import broken_answer, last_answer
from tuipacs.scu.c_store import StoreOutcome, not_sent
from tuipacs.scu.sources import SourceObject
from tuipacs.services.retrieval import Records, Retrieval

NOT_USED: Any = None
REQUEST = Request(
    AcceptedContext(1, "1.2.840.10008.5.1.4.1.2.2.2", EXPLICIT), Command(0x21, 7, True, "", "", {})
)


def retrieval(*statuses: int | str, total: int = 3) -> Retrieval:
    """Of so many objects; the first have these statuses, or were not sent for these reasons."""
    named = Named(
        array("q", range(total)), array("q", [1] * total), (Share(1, "1.2", 1, "P", total),)
    )
    found = Retrieval(NOT_USED, Records(NOT_USED, NOT_USED, NOT_USED, "", "", named))
    for number, status in enumerate(statuses):
        uid = f"1.2.{number}"
        if isinstance(status, int):
            found.note(StoreOutcome(uid, status))
        else:
            source = SourceObject("", uid, "", 0, NOT_USED)
            found.note(not_sent(source, status, Failure.SOURCE))
    return found


def listed(told: Answer) -> list[str] | None:
    if told.dataset is None:
        return None
    element = answer(told.dataset)["FailedSOPInstanceUIDList"]
    return [] if element.is_empty else [element.value] if element.VM == 1 else list(element.value)


@pytest.mark.parametrize(
    ("statuses", "cancelled", "status", "uids"),
    [
        ((0, 0, 0), False, 0x0000, None),
        ((0, 0xB000, 0), False, 0xB000, []),
        ((0, 0xA700, 0xB000), False, 0xB000, ["1.2.1"]),
        ((0xA700, "it is gone", 0xC000), False, 0xA702, ["1.2.0", "1.2.1", "1.2.2"]),
        ((0,), True, 0xFE00, []),
        (("it is gone", 0xA700), True, 0xFE00, ["1.2.0", "1.2.1"]),
    ],
)
def test_what_is_no_success_has_a_list_of_what_failed(
    statuses: tuple[int | str, ...], cancelled: bool, status: int, uids: list[str] | None
) -> None:
    """PS3.4 C.4.2.1.4.2: with Cancel, Failure, Refused and Warning, if only an empty one."""
    told = last_answer(retrieval(*statuses), REQUEST, cancelled=cancelled)
    assert (told.status, listed(told)) == (status, uids)
    assert told.counts is not None
    assert told.counts.failed == len(uids or [])


@pytest.mark.parametrize("statuses", [(), (0,), (0, "it is gone")])
def test_what_could_not_be_looked_up_is_neither_counted_nor_listed_as_failed(
    statuses: tuple[int | str, ...],
) -> None:
    """Nobody knows its UIDs: a count without a list would contradict itself."""
    told = broken_answer(retrieval(*statuses), REQUEST, UnavailableError("the index is gone"))
    failed = [f"1.2.{at}" for at, status in enumerate(statuses) if status]
    assert (told.status, told.comment) == (0xC000, "the index is gone")
    assert listed(told) == failed
    assert told.counts is not None
    counts = (told.counts.remaining, told.counts.completed, told.counts.failed)
    assert counts == (None, len(statuses) - len(failed), len(failed))


def test_the_comment_says_once_why_the_first_one_failed() -> None:
    """64 characters are few."""
    why = "its stored file is damaged, and this is told in many more words"
    told = last_answer(retrieval(0, why, "another reason"), REQUEST, cancelled=False)
    assert told.comment == why
    assert last_answer(retrieval(0, 0xA700, 0), REQUEST, cancelled=False).comment == (
        "0xA700 out of resources"
    )
