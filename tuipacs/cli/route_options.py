"""The options that say what a routing rule is like; ``add`` and ``edit`` share them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from tuipacs.client.connection import Connection
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_choice import choose
from tuipacs.domain.route import RouteLevel, RouteRule, RouteSource
from tuipacs.domain.route_text import read_days
from tuipacs.domain.route_words import PRIORITIES
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op


class Priority(StrEnum):
    """Of the jobs."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


def _patterns(about: str) -> Any:
    return typer.Option(metavar="PATTERN", help=f"{about}; may be repeated")


Texts = list[str] | None
To = Annotated[Texts, typer.Option(metavar="NODE", help="Destination; may be repeated")]
Modality = Annotated[Texts, _patterns("Modality, like CT")]
Only = Annotated[bool | None, typer.Option("--only/--not-only", help="No other modality")]
From = Annotated[Texts, typer.Option("--from", metavar="PATTERN", help="Calling AE title")]
Study = Annotated[Texts, _patterns("Study description, like *CHEST*")]
Series = Annotated[Texts, _patterns("Series description")]
PatientId = Annotated[Texts, _patterns("Patient ID")]
Issuer = Annotated[Texts, _patterns("Issuer of the patient ID")]
Accession = Annotated[Texts, _patterns("Accession number")]
Referring = Annotated[Texts, _patterns("Referring physician's name")]
BodyPart = Annotated[Texts, _patterns("Body part examined")]
Institution = Annotated[Texts, _patterns("Institution name")]
Station = Annotated[Texts, _patterns("Station name")]
SopClass = Annotated[Texts, typer.Option(metavar="UID", help="SOP class; may be repeated")]
MaxAge = Annotated[int | None, typer.Option(min=0, metavar="DAYS", help="By study date; 0: any")]
Minimum = Annotated[int | None, typer.Option("--min", min=0, help="Objects at least")]
Maximum = Annotated[int | None, typer.Option("--max", min=0, help="Objects at most; 0: any")]
Days = Annotated[
    str | None, typer.Option("--days", metavar="mon-fri,sun", help="Weekdays of arrival")
]
Window = Annotated[str | None, typer.Option(metavar="22:00-06:00", help="Local time of arrival")]
Unflagged = Annotated[
    bool | None, typer.Option("--unflagged/--flagged-too", help="Only if nothing is odd about it")
]
Source = Annotated[RouteSource | None, typer.Option(help="How it came in [received]")]
Level = Annotated[RouteLevel | None, typer.Option(help="What is sent [study]")]
JobPriority = Annotated[Priority | None, typer.Option(help="Of its jobs [normal]")]
Commit = Annotated[
    bool | None, typer.Option("--commit/--no-commit", help="Then ask for storage commitment")
]
Stop = Annotated[
    bool | None, typer.Option("--stop/--no-stop", help="What it matches no later rule sees")
]
Quiet = Annotated[
    int | None,
    typer.Option(min=0, metavar="SECONDS", help="Without a new object; 0: as the settings say"),
]

_LISTS = {
    "patient_id": "patient_ids",
    "issuer": "issuers",
    "study": "study_descriptions",
    "accession": "accession_numbers",
    "referring": "referring_physicians",
    "from_": "calling_ae_titles",
    "modality": "modalities",
    "series": "series_descriptions",
    "body_part": "body_parts",
    "institution": "institutions",
    "station": "stations",
    "sop_class": "sop_classes",
}
_VALUES = {
    "only": "only_modalities",
    "max_age": "not_older_than_days",
    "minimum": "minimum",
    "maximum": "maximum",
    "window": "window",
    "unflagged": "without_flags",
    "source": "source",
}
_OF_RULE = {"level": "level", "commit": "commit", "stop": "stop", "quiet": "quiet_seconds"}


def changed(
    rule: RouteRule, connection: Connection, given: dict[str, Any], *, name: str = ""
) -> RouteRule:
    """``rule`` with the options that were given; an empty text in a list takes the list away."""
    conditions: dict[str, Any] = {
        field: tuple(value for value in given[option] if value.strip())
        for option, field in _LISTS.items()
        if given[option] is not None
    }
    conditions |= {
        field: given[option] for option, field in _VALUES.items() if given[option] is not None
    }
    if given["days"] is not None:
        conditions["weekdays"] = read_days(given["days"])
    fields: dict[str, Any] = {
        field: given[option] for option, field in _OF_RULE.items() if given[option] is not None
    }
    if name:
        fields["name"] = name
    if given["priority"] is not None:
        fields["priority"] = PRIORITIES.index(given["priority"].value)
    if given["to"] is not None:
        known = connection.call(op.NODES, m.Empty()).nodes
        fields["nodes"] = tuple(_node(known, wanted) for wanted in given["to"] if wanted.strip())
    return msgspec.structs.replace(
        rule, conditions=msgspec.structs.replace(rule.conditions, **conditions), **fields
    )


def _node(known: tuple[NodeRecord, ...], wanted: str) -> int:
    """The key of a node by its title; of several the one that can be called."""
    asked = [node for node in known if node.call.host and node.ae_title == wanted]
    return choose(asked or known, wanted).key
