"""The filter line as SQL over ``study_search``.

That table is narrow and holds folded texts: ``words`` for what a bare word is looked for in, and a
column for each key. A scan of 100,000 studies takes some 20 ms (docs/adr/0002).
"""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.domain.attributes import PatientAttributes, StudyAttributes
from tuipacs.domain.query import Field, Term, fold
from tuipacs.domain.records import Flag
from tuipacs.errors import UsageError
from tuipacs.index.database import Transaction
from tuipacs.index.flags import BIT

_COLUMN = {
    Field.ANY: "words",
    Field.NAME: "name",
    Field.PATIENT_ID: "patient_id",
    Field.ACCESSION: "accession_number",
    Field.DESCRIPTION: "description",
    Field.CALLING_AE: "calling_ae_title",
    Field.UID: "uid",
}
_BETWEEN = "\x1f"  # folded text has no control characters: no word reaches over two fields
_AFTER_ANY_TIME = ":"  # sorts after each digit: a day with any time is before it
_STATES = {flag.value: BIT[flag] for flag in Flag} | {"flagged": sum(BIT.values())}


@dataclass(frozen=True)
class Searchable:
    """The folded texts of one study; ``words`` are those that a bare word is looked for in."""

    name: str
    patient_id: str
    accession_number: str
    description: str
    referring: str
    calling_ae_title: str
    uid: str

    @property
    def words(self) -> str:
        """Without the modalities, which follow."""
        texts = (self.name, self.patient_id, self.accession_number, self.description)
        return _BETWEEN.join((*texts, self.referring)) + _BETWEEN


def searchable(
    patient: PatientAttributes, study: StudyAttributes, calling_ae_title: str
) -> Searchable:
    """What can be found of a study."""
    return Searchable(
        name=_folded(patient.patient_name),
        patient_id=_folded(patient.patient_id),
        accession_number=_folded(study.accession_number),
        description=_folded(study.study_description),
        referring=_folded(study.referring_physician_name),
        calling_ae_title=_folded(calling_ae_title),
        uid=_folded(study.study_instance_uid),
    )


def insert(
    tx: Transaction, study: int, patient: int, at: float, sort_date: str, flags: int, of: Searchable
) -> None:
    """Make a new study findable; its modalities come with `set_modalities`."""
    tx.execute(
        "INSERT INTO study_search (study, patient, received_at, sort_date, flags, modalities,"
        " words, name, patient_id, accession_number, description, calling_ae_title, uid)"
        " VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?)",
        (
            study,
            patient,
            at,
            sort_date,
            flags,
            of.words,
            of.name,
            of.patient_id,
            of.accession_number,
            of.description,
            of.calling_ae_title,
            of.uid,
        ),
    )


def set_modalities(tx: Transaction, study: int, modalities: str) -> None:
    """Give a study the modalities it has now, joined with a backslash."""
    folded = f" {_folded(modalities.replace(chr(92), ' '))} "
    words = tx.scalar("SELECT words FROM study_search WHERE study = ?", (study,))
    tx.execute(
        "UPDATE study_search SET modalities = ?, words = ? WHERE study = ?",
        (folded, words.rpartition(_BETWEEN)[0] + _BETWEEN + folded, study),
    )


def set_texts(tx: Transaction, study: int, sort_date: str, of: Searchable) -> None:
    """A study has another name, date, accession number, description or referring physician."""
    words = tx.scalar("SELECT words FROM study_search WHERE study = ?", (study,))
    tx.execute(
        "UPDATE study_search SET sort_date = ?, words = ?, name = ?, accession_number = ?,"
        " description = ? WHERE study = ?",
        (
            sort_date,
            of.words + words.rpartition(_BETWEEN)[2],
            of.name,
            of.accession_number,
            of.description,
            study,
        ),
    )


def set_calling_ae(tx: Transaction, study: int, calling_ae_title: str) -> None:
    """The newest object of a study came from another AE."""
    tx.execute(
        "UPDATE study_search SET calling_ae_title = ? WHERE study = ?",
        (_folded(calling_ae_title), study),
    )


def _folded(value: str) -> str:
    """Folded, and without control characters that could pass for the mark between fields."""
    return fold("".join(c if c.isprintable() else " " for c in value))


def condition(terms: tuple[Term, ...]) -> tuple[str, list[object]]:
    """A WHERE expression over ``study_search`` and its parameters; "1" without terms."""
    clauses: list[str] = []
    parameters: list[object] = []
    for term in terms:
        clause, values = _clause(term)
        clauses.append(f"NOT ({clause})" if term.exclude else clause)
        parameters.extend(values)
    return " AND ".join(clauses) or "1", parameters


def _clause(term: Term) -> tuple[str, list[object]]:
    if term.field is Field.DATE:
        bounds: list[object] = []
        clause = "sort_date <> ''"
        if term.first:
            clause += " AND sort_date >= ?"
            bounds.append(term.first)
        if term.last:
            clause += " AND sort_date < ?"
            bounds.append(term.last + _AFTER_ANY_TIME)
        return clause, bounds
    if term.field is Field.STATE:
        state = term.value.lower()
        if state not in _STATES:
            raise UsageError(f"st: takes one of {', '.join(sorted(_STATES))}")
        return "flags & ?", [_STATES[state]]
    if term.field is Field.MODALITY:
        wanted = [_folded(value) for value in term.value.split(",") if value] or [""]
        return (
            "(" + " OR ".join("instr(modalities, ?)" for _ in wanted) + ")",
            [f" {value} " for value in wanted],
        )
    return f"instr({_COLUMN[term.field]}, ?)", [_folded(term.value)]


def series_condition(terms: tuple[Term, ...]) -> tuple[str, list[object]]:
    """What the terms ask of a series ``s`` of a matching study: its modality."""
    clauses: list[str] = []
    parameters: list[object] = []
    for term in terms:
        if term.field is Field.MODALITY:
            wanted = [value.strip().upper() for value in term.value.split(",")]
            word = "NOT IN" if term.exclude else "IN"
            clauses.append(f"upper(s.modality) {word} ({', '.join('?' * len(wanted))})")
            parameters.extend(wanted)
    return " AND ".join(clauses) or "1", parameters
