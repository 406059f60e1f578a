"""How a patient, study, series or instance fills the columns of the archive."""

from __future__ import annotations

from collections.abc import Sequence

from tuipacs.domain.content import DocumentKind
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.ui import format as f
from tuipacs.ui.outline import Record
from tuipacs.ui.widgets.line_view import Cell, Column, Part

NARROW = 64
WIDE = 88
MODALITY = 8  # cells; the longest of PS3.3 C.7.3.1.1.1 are RTSTRUCT and RTRECORD
COUNT = 5


def columns(width: int, *, flat: bool) -> Sequence[Column]:
    """Seven columns where there is room, else four, else three."""
    name = "Study of patient" if flat else "Patient"
    if width >= WIDE:
        return (
            Column(name, 24, flex=5),
            Column("ID", 11),
            Column("Date", 10),
            Column("Mod", MODALITY),
            Column("Description", 14, flex=3),
            Column("Images", 7, align="right"),
            Column("", 1),
        )
    if width >= NARROW:
        counts = Column("Images", MODALITY + 1 + COUNT, align="right")
        return (Column(name, 30, flex=1), Column("Date", 10), counts)
    return (Column(name, 20, flex=1), Column("Date", 10), Column("Img", 5, align="right"))


def _flag(record: Record) -> Cell:
    return Cell(f.FLAG_MARK, "warn") if record.flags else Cell("")


def cells(record: Record, width: int) -> tuple[tuple[Cell, ...], tuple[Part, ...]]:
    """What goes into the first column after the tree, and what into the others."""
    if isinstance(record, PatientRecord):
        who, rest = _patient(record)
    elif isinstance(record, StudyRecord):
        who, rest = _study(record)
    elif isinstance(record, SeriesRecord):
        who, rest = _series(record)
    else:
        who, rest = _instance(record)
    identity, date, modality, description, images = rest
    if width >= WIDE:
        return who, (
            Cell(identity),
            Cell(date, "dim"),
            Cell(modality, "accent"),
            Cell(description),
            images,
            _flag(record),
        )
    extra: list[Cell] = list(who)
    if record.flags:
        extra.append(Cell(" " + f.FLAG_MARK, "warn"))
    if identity:
        extra.append(Cell("  " + identity, "dim"))
    if description:
        extra.append(Cell("  " + description, "dim"))
    if width >= NARROW and modality:
        # A long list of modalities gives way; the count is never cut.
        images = f.short_number(images, MODALITY + COUNT - 1)
        room = MODALITY + COUNT - max(COUNT, len(images))
        images = f"{f.cut(modality, room)} {images:>{COUNT}}"
    return tuple(extra), (Cell(date, "dim"), Cell(images))


_Rest = tuple[str, str, str, str, str]


def _patient(row: PatientRecord) -> tuple[tuple[Cell, ...], _Rest]:
    name = f.person_name(row.patient_name)
    who = Cell(name, "name") if name else Cell("(no name)", "dim")
    count = row.number_of_patient_related_studies
    return (who,), (
        row.patient_id,
        f.date(row.latest_study_date),
        f.modalities(row.modalities),
        f.plural(count, "study", "studies"),
        f.number(row.number_of_patient_related_instances),
    )


def _study(row: StudyRecord) -> tuple[tuple[Cell, ...], _Rest]:
    return (), (
        row.accession_number,
        f.date(row.study_date),
        f.modalities(row.modalities_in_study),
        row.study_description,
        f.number(row.number_of_study_related_instances),
    )


def study_name(row: StudyRecord, *, flat: bool) -> tuple[Cell, ...]:
    """A study below its patient is told by its time; in the flat list by the patient's name."""
    if flat:
        name = f.person_name(row.patient_name)
        return (Cell(name, "name") if name else Cell("(no name)", "dim"),)
    when = " ".join(part for part in (f.date(row.study_date), f.time(row.study_time)) if part)
    return (Cell(when or "(no date)"),)


def _series(row: SeriesRecord) -> tuple[tuple[Cell, ...], _Rest]:
    label = f"Series {row.series_number}" if row.series_number else "Series"
    return (Cell(label),), (
        row.body_part_examined,
        f.date(row.series_date),
        row.modality,
        row.series_description or row.protocol_name,
        f.number(row.number_of_series_related_instances),
    )


_KINDS = {
    DocumentKind.STRUCTURED_REPORT: "report",
    DocumentKind.ENCAPSULATED: "document",
    DocumentKind.WAVEFORM: "waveform",
}


def _instance(row: InstanceRecord) -> tuple[tuple[Cell, ...], _Rest]:
    label = f"#{row.instance_number}" if row.instance_number else "#?"
    if row.version > 1:
        label += f" (version {row.version})"
    shape = f"{row.columns}x{row.rows}" if row.rows and row.columns else _KINDS.get(row.kind, "")
    frames = f"{row.number_of_frames} fr" if row.number_of_frames > 1 else ""
    return (Cell(label, "dim"),), (
        shape,
        f.date(row.content_date),
        "",
        row.sop_class_name or row.sop_class_uid,
        frames,
    )
