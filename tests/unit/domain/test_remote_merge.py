"""One row for each study, whoever has it; and what of it is here."""

from __future__ import annotations

import pytest

from tuipacs.domain.level import Level
from tuipacs.domain.remote import HERE, Presence, RemoteRow, presence
from tuipacs.domain.remote_merge import Merger


def row(node: int, uid: str = "1.2", instances: int | None = 6, **fields: object) -> RemoteRow:
    given = {"patient_id": "P", "patient_name": "DOE^JOHN", **fields}
    return RemoteRow(
        node=node,
        level=Level.STUDY,
        study_instance_uid=uid,
        instances=instances,
        **given,  # type: ignore[arg-type]
    )


def merged(*rows: RemoteRow):  # type: ignore[no-untyped-def]
    merger = Merger()
    merger.add(rows)
    return merger.rows()


@pytest.mark.parametrize(
    ("here", "elsewhere", "judged"),
    [
        (0, 6, Presence.MISSING),
        (0, None, Presence.MISSING),
        (4, 6, Presence.PARTIAL),
        (6, 6, Presence.HAVE),
        (7, 6, Presence.HAVE),
        (4, None, Presence.UNKNOWN),
    ],
)
def test_presence_is_judged_by_counts(here: int, elsewhere: int | None, judged: Presence) -> None:
    assert presence(here, elsewhere) is judged


def test_rows_of_one_study_are_one_with_a_badge_for_each_node() -> None:
    (found,) = merged(row(1, here=4), row(2, instances=4, here=4), row(HERE, instances=4, here=4))
    assert found.nodes == (1, 2, HERE)
    assert (found.here, found.elsewhere, found.presence) == (4, 6, Presence.PARTIAL)
    assert found.presence_of(1) is Presence.PARTIAL
    assert found.presence_of(2) is Presence.HAVE
    assert found.presence_of(3) is None


def test_what_only_we_have_is_not_missing() -> None:
    (found,) = merged(row(HERE, here=6))
    assert found.presence is Presence.HAVE


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"patient_id": "Q"}, "patient ID"),
        ({"patient_name": "ROE^JANE"}, "name"),
        ({"patient_id": "Q", "patient_name": "ROE^JANE"}, "patient ID, name"),
        ({"patient_name": "doe^john^^^"}, ""),
        ({"patient_name": "DÖE^JOHN"}, ""),
        ({"patient_id": ""}, ""),
        ({"patient_id": "P "}, ""),
        ({"patient_birth_date": "19700101"}, ""),
    ],
)
def test_two_patients_under_one_uid_are_never_merged_silently(
    other: dict[str, str], differs: str
) -> None:
    (found,) = merged(row(1), row(2, **other))
    assert found.differing == differs


def test_one_node_can_contradict_itself() -> None:
    (found,) = merged(row(1), row(1, patient_id="Q"))
    assert found.differing == "patient ID"
    assert len(found.answers) == 2


def test_newest_studies_come_first_and_undated_ones_last() -> None:
    dates = {"1": "20260101", "2": "", "3": "20261122", "4": "2026.05.01"}
    found = merged(*(row(1, uid, study_date=date) for uid, date in dates.items()))
    assert [each.uid for each in found] == ["3", "4", "1", "2"]


def test_badges_turn_as_objects_come() -> None:
    merger = Merger()
    merger.add([row(1)])
    assert merger.rows()[0].presence is Presence.MISSING
    merger.now_here({"1.2": 6, "of no row": 3})
    assert merger.rows()[0].presence is Presence.HAVE
