"""Sending from a list of the archive: what is marked, or the row, to a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuipacs.domain.job import JobRecord
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService
from tuipacs.domain.records import PatientRecord, SeriesRecord, StudyRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import RowRef
from tuipacs.schema.messages import Empty
from tuipacs.ui import format as f
from tuipacs.ui.outline import Record

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

_NAMED = 4  # lines of the dialog


async def send(app: TuipacsApp, chosen: Sequence[tuple[Record, str]]) -> None:
    """Ask where to, then queue a job. Each record comes with whose it is, in words."""
    from tuipacs.ui.dialogs.send import SendDialog

    try:
        known = (await app.desk.link.call(op.NODES, Empty())).nodes
    except TuipacsError as error:
        app.report(error)
        return
    nodes = [n for n in known if n.call.host and CallService.SEND in n.call.services]
    if not nodes:
        words = "No node can be sent to yet. g n, then a adds one, with a host and a port."
        app.notify(words, severity="warning", markup=False)
        return

    def queued(job: JobRecord | None) -> None:
        if job is not None:
            app.notify(f"{job.title}: queued, g j shows it", markup=False)
            app.refresh_jobs()

    rows = tuple(row_of(record) for record, _ in chosen)
    app.push_screen(SendDialog(what(chosen), rows, nodes), queued)


def row_of(record: Record) -> RowRef:
    """Which row of the archive it is: exact, where a UID may name several."""
    if isinstance(record, PatientRecord):
        return RowRef(level=Level.PATIENT, key=record.key)
    if isinstance(record, StudyRecord):
        return RowRef(level=Level.STUDY, key=record.key)
    if isinstance(record, SeriesRecord):
        return RowRef(level=Level.SERIES, key=record.key)
    return RowRef(level=Level.INSTANCE, key=record.key)


def what(chosen: Sequence[tuple[Record, str]]) -> list[str]:
    """The objects by name, in a few lines."""
    lines = ["  ".join(p for p in (owner, _name(record)) if p) for record, owner in chosen[:_NAMED]]
    if len(chosen) > _NAMED:
        lines.append(f"and {len(chosen) - _NAMED:,} more")
    return lines


def _name(record: Record) -> str:
    if isinstance(record, PatientRecord):
        count = record.number_of_patient_related_studies
        return "the one study" if count == 1 else f"all {count:,} studies"
    if isinstance(record, StudyRecord):
        images = f.plural(record.number_of_study_related_instances, "image")
        about = " ".join(x for x in (f.date(record.study_date), record.study_description) if x)
        return f"{about}  {images}".strip()
    if isinstance(record, SeriesRecord):
        images = f.plural(record.number_of_series_related_instances, "image")
        words = ("series", record.series_number, record.modality, record.series_description)
        return f"{' '.join(word for word in words if word)}  {images}"
    return f"object {record.instance_number} {record.sop_class_name}".replace("  ", " ")
