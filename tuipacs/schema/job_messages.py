"""Messages about jobs: the list with its lanes, their instances, and what is asked of them."""

from __future__ import annotations

from tuipacs.domain.job import ItemState, JobItem, JobPriority, JobRecord, LaneRecord
from tuipacs.domain.level import Level
from tuipacs.schema.messages import Message

JOB_LIMIT = 500
ITEM_LIMIT = 1000


class JobsRequest(Message, frozen=True, kw_only=True):
    """The newest jobs. ``open_only``: those that have not ended; ``node``: of that lane."""

    open_only: bool = False
    node: int | None = None
    limit: int = JOB_LIMIT


class JobList(Message, frozen=True, kw_only=True):
    """Jobs, newest first, and each lane that has open ones or is held."""

    jobs: tuple[JobRecord, ...]
    lanes: tuple[LaneRecord, ...] = ()


class JobItemsRequest(Message, frozen=True, kw_only=True):
    """A page of the instances of a job, of those ``states`` only if any are given."""

    key: int
    states: tuple[ItemState, ...] = ()
    offset: int = 0
    limit: int = 200


class JobItems(Message, frozen=True, kw_only=True):
    """Instances in the order in which they are dealt with; ``matched`` of ``total`` ask for."""

    items: tuple[JobItem, ...]
    matched: int
    total: int


class JobPriorityRequest(Message, frozen=True, kw_only=True):
    """From now on."""

    key: int
    priority: JobPriority


class LaneRequest(Message, frozen=True, kw_only=True):
    """A node, by its key, or by AE title (or the digits of a key) where that is 0."""

    node: int = 0
    ae_title: str = ""


class RowRef(Message, frozen=True, kw_only=True):
    """One row of the archive. It is exact where a UID is not: two patients may share one."""

    level: Level
    key: int


class SendRequest(Message, frozen=True, kw_only=True):
    """Send what these study, series and SOP instance UIDs name, and these rows, each object once.

    To the node of that key, or of that AE title (or the digits of a key) where it is 0.
    ``commit``: ask for storage commitment after the last object, and wait for the report.
    """

    uids: tuple[str, ...] = ()
    rows: tuple[RowRef, ...] = ()
    node: int = 0
    ae_title: str = ""
    priority: JobPriority = JobPriority.NORMAL
    commit: bool = False
