"""What is known of the row under the cursor, with its flags explained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.widgets import Static

from tuipacs.domain.commitment import StudyCommitment
from tuipacs.domain.records import Flag, InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.ui import format as f
from tuipacs.ui.outline import Record

_Lines = list[tuple[str, str]]
_COMMITTED = "Committed"
_SEXES = {"M": "male", "F": "female", "O": "other"}


class Details(Static):
    """Labels and values; empty values are left out."""

    DEFAULT_CSS = """
    Details { padding: 0 1; background: $background; color: $foreground; height: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)

    def show(self, record: Record | None, committed: Sequence[StudyCommitment] = ()) -> None:
        """Describe ``record``; a study with what nodes have committed to."""
        # Its size is given: a layout of the whole screen for each row passed would be felt.
        text = describe(record, committed) if record is not None else Content("")
        self.update(text, layout=False)


def describe(record: Record, committed: Sequence[StudyCommitment] = ()) -> Content:
    """Title, labelled values, flags."""
    if isinstance(record, PatientRecord):
        title, lines = _patient(record)
    elif isinstance(record, StudyRecord):
        title, lines = _study(record)
    elif isinstance(record, SeriesRecord):
        title, lines = _series(record)
    else:
        title, lines = _instance(record)
    lines += [(_COMMITTED, commitment_words(each)) for each in committed]
    shown = [(label, value) for label, value in lines if value]
    width = max((len(label) for label, _ in shown), default=0)
    out = [Content.styled(title, "bold $text-primary")]
    out += [
        Content.assemble((f"{label:<{width}}  ", "$text-muted"), value) for label, value in shown
    ]
    out += list(_flags(record.flags))
    if isinstance(record, InstanceRecord):
        out += [Content.assemble(("· ", "$text-warning"), remark) for remark in record.remarks]
    return Content("\n").join(out)


def commitment_words(one: StudyCommitment) -> str:
    """ "at PACS2, 2026-11-20 09:14", or how much of the study it is."""
    part = "" if one.committed == one.instances else f" {one.committed:,} of {one.instances:,} only"
    return f"at {one.node_title}{part}, {f.moment(one.at)}"


def _flags(flags: Iterable[Flag]) -> Iterable[Content]:
    for flag in flags:
        name, words = f.FLAG_WORDS[flag]
        yield Content("")
        yield Content.styled(f"{f.FLAG_MARK} {name}", "bold $text-warning")
        yield Content.styled(words, "$text-muted")


def _person(birth_date: str, sex: str, on_date: str) -> str:
    parts = (_SEXES.get(sex, sex), f.date(birth_date), f.age(birth_date, on_date))
    return " · ".join(part for part in parts if part)


def _patient(row: PatientRecord) -> tuple[str, _Lines]:
    return f.person_name(row.patient_name) or "(no name)", [
        ("ID", row.patient_id),
        ("Issuer", row.issuer_of_patient_id),
        ("Person", _person(row.patient_birth_date, row.patient_sex, row.latest_study_date)),
        ("Studies", f.number(row.number_of_patient_related_studies)),
        ("Series", f.number(row.number_of_patient_related_series)),
        ("Images", f.number(row.number_of_patient_related_instances)),
        ("Modality", f.modalities(row.modalities)),
        ("Size", f.size(row.size_bytes)),
        ("Received", f.moment(row.received_at)),
    ]


def _study(row: StudyRecord) -> tuple[str, _Lines]:
    when = " ".join(part for part in (f.date(row.study_date), f.time(row.study_time)) if part)
    return f.person_name(row.patient_name) or "(no name)", [
        ("ID", row.patient_id),
        ("Person", _person(row.patient_birth_date, row.patient_sex, row.study_date)),
        ("Study", row.study_description),
        ("Date", when),
        ("Accession", row.accession_number),
        ("Referrer", f.person_name(row.referring_physician_name)),
        ("Modality", f.modalities(row.modalities_in_study)),
        (
            "Content",
            f"{row.number_of_study_related_series:,} series"
            f" · {f.plural(row.number_of_study_related_instances, 'image')}"
            f" · {f.size(row.size_bytes)}",
        ),
        ("From", row.calling_ae_title or "import"),
        ("Received", f.moment(row.received_at)),
        ("UID", row.study_instance_uid),
    ]


def _series(row: SeriesRecord) -> tuple[str, _Lines]:
    when = " ".join(part for part in (f.date(row.series_date), f.time(row.series_time)) if part)
    return f"Series {row.series_number}".strip(), [
        ("Text", row.series_description),
        ("Modality", row.modality),
        ("Body part", row.body_part_examined),
        ("Protocol", row.protocol_name),
        ("Date", when),
        ("Station", row.station_name),
        ("Place", row.institution_name),
        ("Images", f.number(row.number_of_series_related_instances)),
        ("Size", f.size(row.size_bytes)),
        ("Received", f.moment(row.received_at)),
        ("UID", row.series_instance_uid),
    ]


def _instance(row: InstanceRecord) -> tuple[str, _Lines]:
    when = " ".join(part for part in (f.date(row.content_date), f.time(row.content_time)) if part)
    shape = f"{row.columns}x{row.rows}" if row.rows and row.columns else ""
    frames = f.plural(row.number_of_frames, "frame") if row.number_of_frames else ""
    return f"Instance {row.instance_number}".strip(), [
        ("Class", row.sop_class_name or row.sop_class_uid),
        ("Image", " · ".join(p for p in (shape, frames, row.photometric_interpretation) if p)),
        ("Type", row.image_type.replace("\\", " / ")),
        ("Date", when),
        ("Stored as", row.transfer_syntax_name or row.transfer_syntax_uid),
        ("Size", f.size(row.size_bytes)),
        ("Version", str(row.version) if row.version > 1 else ""),
        ("From", row.calling_ae_title or "import"),
        ("Received", f.moment(row.received_at)),
        ("UID", row.sop_instance_uid),
        ("SHA-256", row.sha256),
    ]
