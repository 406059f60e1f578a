"""A study at a node held against what is here, by every SOP Instance UID: counts can lie."""

from __future__ import annotations

from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.domain.remote import NodeState, SeriesComparison
from tuipacs.errors import UnavailableError, UsageError
from tuipacs.index import holdings
from tuipacs.index.database import Index
from tuipacs.scu.requestor import Peer
from tuipacs.services.remote_asking import Listed, Lister, asking
from tuipacs.services.remote_tasks import Part, Task


def compare_study(
    task: Task, part: Part, index: Index, peer: Peer, study_instance_uid: str, character_set: str
) -> None:
    """Fill a task with one entry for each series that is there or here; ends its part."""
    try:
        with asking(peer) as association:
            part.asks(association.cut)
            lister = Lister(association, part.node, character_set)
            _compare(task, part, index, lister, study_instance_uid)
    except AssociationFailedError as error:
        part.end(NodeState.UNREACHABLE, error.message)
    except UnavailableError as error:
        part.end(NodeState.FAILED, error.message)
    except UsageError as error:
        part.end(NodeState.REFUSED, f"{error.message} ({error.remedy})")
    finally:
        if part.stopped:
            part.end(NodeState.CANCELLED, part.stopped)


def _compare(task: Task, part: Part, index: Index, lister: Lister, study_instance_uid: str) -> None:
    """What the node lists and cannot be compared is missing here, and told."""
    there = lister.series(study_instance_uid)
    _tell(part, there)
    for series in there.rows:
        if part.stopped:
            return
        listed = lister.instances(study_instance_uid, series.series_instance_uid)
        _tell(part, listed)
        uids = {row.sop_instance_uid for row in listed.rows}
        unknown = len(listed.unusable) + listed.unreadable
        with index.read() as reader:
            held = holdings.held(reader, uids).keys()
            here = holdings.instances_of(reader, study_instance_uid, series.series_instance_uid)
        task.compared(
            SeriesComparison(
                series_instance_uid=series.series_instance_uid,
                modality=series.modality,
                series_number=series.series_number,
                series_description=series.series_description,
                there=len(uids) + unknown,
                here=len(here),
                missing=len(uids - held) + unknown,
                extra=len(here - uids),
            )
        )
    known = {series.series_instance_uid for series in there.rows}
    with index.read() as reader:
        only_here = [
            (series, len(holdings.instances_of(reader, study_instance_uid, series[0])))
            for series in holdings.series_of(reader, study_instance_uid)
            if series.series_instance_uid not in known
        ]
    for series_here, count in only_here:
        task.compared(
            SeriesComparison(
                series_instance_uid=series_here.series_instance_uid,
                modality=series_here.modality,
                series_number=series_here.series_number,
                series_description=series_here.series_description,
                here=count,
                extra=count,
            )
        )
    part.end(NodeState.COMPLETE)


def _tell(part: Part, listed: Listed) -> None:
    for each in listed.unusable:
        part.malformed(each.fault)
    if listed.unreadable:
        part.malformed(count=listed.unreadable)
