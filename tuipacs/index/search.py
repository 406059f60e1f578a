"""The filter line as SQL over ``study_search``.

A study's text holds its folded fields, each after a mark of its own, so that a bare word is looked
for anywhere and ``name:`` only behind its mark. 100,000 studies take some 10 ms (docs/adr/0002).
"""

from __future__ import annotations

from tuipacs.domain.attributes import PatientAttributes, StudyAttributes
from tuipacs.domain.query import Field, Term, fold
from tuipacs.domain.records import Flag
from tuipacs.errors import UsageError
from tuipacs.index.flags import BIT

_MARK = {
    Field.NAME: "\x01",
    Field.PATIENT_ID: "\x02",
    Field.ACCESSION: "\x03",
    Field.DESCRIPTION: "\x04",
    Field.MODALITY: "\x05",
    Field.CALLING_AE: "\x06",
    Field.UID: "\x07",
}
_REFERRING = "\x08"
_STATES = {flag.value: BIT[flag] for flag in Flag} | {"flagged": sum(BIT.values())}


def text_of(
    patient: PatientAttributes,
    study: StudyAttributes,
    modalities: str,
    calling_ae_title: str,
) -> str:
    """The text to be searched for one study."""
    parts = (
        (_MARK[Field.NAME], patient.patient_name),
        (_MARK[Field.PATIENT_ID], patient.patient_id),
        (_MARK[Field.ACCESSION], study.accession_number),
        (_MARK[Field.DESCRIPTION], study.study_description),
        (_REFERRING, study.referring_physician_name),
        (_MARK[Field.MODALITY], modalities.replace("\\", " ")),
        (_MARK[Field.CALLING_AE], calling_ae_title),
        (_MARK[Field.UID], study.study_instance_uid),
    )
    # Control characters of a value can neither pass for a mark nor hide one.
    return "".join(mark + fold(_printable(value)) for mark, value in parts) + "\x09"


def replace_modalities(text: str, modalities: str) -> str:
    """The same text with other modalities."""
    before, _, rest = text.partition(_MARK[Field.MODALITY])
    _, mark, after = rest.partition(_MARK[Field.CALLING_AE])
    return f"{before}{_MARK[Field.MODALITY]}{fold(modalities.replace(chr(92), ' '))}{mark}{after}"


def _printable(value: str) -> str:
    return "".join(c if c >= " " else " " for c in value) if not value.isprintable() else value


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
            clause += " AND substr(sort_date, 1, 8) >= ?"
            bounds.append(term.first)
        if term.last:
            clause += " AND substr(sort_date, 1, 8) <= ?"
            bounds.append(term.last)
        return clause, bounds
    if term.field is Field.STATE:
        state = term.value.lower()
        if state not in _STATES:
            raise UsageError(f"st: takes one of {', '.join(sorted(_STATES))}")
        return "flags & ?", [_STATES[state]]
    if term.field is Field.MODALITY:
        wanted = [fold(value) for value in term.value.split(",") if value]
        inside = _between(Field.MODALITY)
        return (
            "(" + " OR ".join(f"instr(' ' || {inside} || ' ', ?)" for _ in wanted) + ")",
            [f" {value} " for value in wanted],
        )
    if term.field is Field.ANY:
        return "instr(substr(text, 1, instr(text, char(6))), ?)", [fold(term.value)]
    return f"instr({_between(term.field)}, ?)", [fold(term.value)]


def _between(field: Field) -> str:
    """SQL for the part of the text that belongs to ``field``."""
    start = f"instr(text, char({ord(_MARK[field])}))"
    following = {
        Field.NAME: 2,
        Field.PATIENT_ID: 3,
        Field.ACCESSION: 4,
        Field.DESCRIPTION: 8,
        Field.MODALITY: 6,
        Field.CALLING_AE: 7,
        Field.UID: 9,
    }[field]
    return f"substr(text, {start} + 1, instr(text, char({following})) - {start} - 1)"
