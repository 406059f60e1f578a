"""Sending from a list of the archive: what is marked, or the row, to a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuipacs.domain.job import JobRecord
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import RowRef
from tuipacs.schema.messages import ChildrenRequest, Empty
from tuipacs.ui import format as f
from tuipacs.ui.desk import Desk
from tuipacs.ui.outline import Record

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

_NAMED = 5  # lines of the dialog


async def send(app: TuipacsApp, chosen: Sequence[tuple[Record, str]]) -> None:
    """Ask where to, then queue a job. Each record comes with whose it is, in words."""
    from tuipacs.ui.dialogs.send import SendDialog

    try:
        known = await app.desk.link.call(op.NODES, Empty())
        lines = await what(app.desk, chosen)
    except TuipacsError as error:
        app.report(error)
        return
    nodes = [n for n in known.nodes if n.call.host and CallService.SEND in n.call.services]
    if not nodes:
        words = "No node can be sent to yet. g n, then a adds one, with a host and a port."
        app.notify(words, severity="warning", markup=False)
        return

    def queued(job: JobRecord | None) -> None:
        if job is not None:
            app.desk.sent_to = job.node
            app.notify(f"{job.title}: queued, g j shows it", markup=False)
            app.refresh_jobs()

    rows = tuple(row_of(record) for record, _ in chosen)
    dialog = SendDialog(lines, rows, nodes, health=known.health, last=app.desk.sent_to)
    app.push_screen(dialog, queued)


def row_of(record: Record) -> RowRef:
    """Which row of the archive it is: exact, where a UID may name several."""
    if isinstance(record, PatientRecord):
        return RowRef(level=Level.PATIENT, key=record.key)
    if isinstance(record, StudyRecord):
        return RowRef(level=Level.STUDY, key=record.key)
    if isinstance(record, SeriesRecord):
        return RowRef(level=Level.SERIES, key=record.key)
    return RowRef(level=Level.INSTANCE, key=record.key)


async def what(desk: Desk, chosen: Sequence[tuple[Record, str]]) -> list[str]:
    """The objects by name, in a few lines; the studies of a patient one by one."""
    lines: list[str] = []
    images = 0
    for record, owner in chosen:
        images += _images(record)
        if len(lines) < _NAMED:
            lines += [_line(owner, name) for name in await _names(desk, record)]
    if len(lines) > _NAMED or len(chosen) > len(lines):
        lines = [*lines[: _NAMED - 1], "… and more"]
    if len(chosen) > 1 or len(lines) > 1:
        lines.append(f"in all {f.plural(images, 'object')}")
    return lines


def _line(owner: str, name: str) -> str:
    return "  ".join(part for part in (owner or "(patient not shown)", name) if part)


async def _names(desk: Desk, record: Record) -> list[str]:
    if not isinstance(record, PatientRecord):
        return [_name(record)]
    request = ChildrenRequest(key=record.key, limit=_NAMED + 1)
    studies = (await desk.link.call(op.STUDIES_OF, request)).rows
    return [_name(study) for study in studies]


def _images(record: Record) -> int:
    if isinstance(record, PatientRecord):
        return record.number_of_patient_related_instances
    if isinstance(record, StudyRecord):
        return record.number_of_study_related_instances
    if isinstance(record, SeriesRecord):
        return record.number_of_series_related_instances
    return 1


def _name(record: Record) -> str:
    if isinstance(record, StudyRecord):
        images = f.plural(record.number_of_study_related_instances, "image")
        modalities = f.modalities(record.modalities_in_study)
        parts = (f.date(record.study_date), modalities, record.study_description, images)
    elif isinstance(record, SeriesRecord):
        images = f.plural(record.number_of_series_related_instances, "image")
        number = f"series {record.series_number}".strip()
        parts = (number, record.modality, record.series_description, images)
    elif isinstance(record, InstanceRecord):
        parts = (f"object {record.instance_number}".strip(), record.sop_class_name, "", "")
    else:
        raise AssertionError("a patient goes by its studies")
    return "  ".join(part for part in parts if part)
