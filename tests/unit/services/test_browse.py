"""Finding things: pages, levels, what a UID names, and what changed since."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.builders import make_dataset, make_study
from tests.unit.services.parts import Parts, actor
from tuipacs.domain.actor import Actor
from tuipacs.domain.level import Level
from tuipacs.domain.permissions import Role
from tuipacs.domain.query import SortKey
from tuipacs.domain.records import Flag
from tuipacs.domain.uid import new_uid
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import lookup
from tuipacs.schema import messages as m
from tuipacs.services.browse import Browse

VIEWER = actor(Role.VIEWER)


@pytest.fixture
def browse(parts: Parts) -> Browse:
    return parts.browse


@pytest.fixture
def filled(parts: Parts) -> Parts:
    """Two studies of P1 (CT of 2 series, 3 each; MR), one of P2."""
    for dataset in make_study(2, 3, PatientID="P1", StudyDate="20240101", AccessionNumber="A1"):
        parts.send(dataset)
    parts.clock.now += 10
    for dataset in make_study(1, 2, PatientID="P1", StudyDate="20250101", Modality="MR"):
        parts.send(dataset)
    parts.clock.now += 10
    for dataset in make_study(1, 1, PatientID="P2", PatientName="ROE^RICHARD"):
        parts.send(dataset)
    return parts


def test_a_page_says_how_many_match_of_how_many_and_when(filled: Parts) -> None:
    page = filled.browse.patients(VIEWER, m.PageRequest(filter="mod:CT id:p1"))
    assert [row.patient_id for row in page.rows] == ["P1"]
    assert (page.matched, page.total, page.as_of_seq) == (1, 2, 9)
    (row,) = page.rows
    assert row.number_of_patient_related_studies == 2
    assert row.number_of_patient_related_series == 3
    assert row.number_of_patient_related_instances == 8
    assert (row.latest_study_date, row.modalities) == ("20250101", ("CT", "MR"))


def test_studies_newest_received_first_by_default(filled: Parts) -> None:
    page = filled.browse.studies(VIEWER, m.PageRequest())
    assert [row.patient_id for row in page.rows] == ["P2", "P1", "P1"]
    assert [row.modalities_in_study for row in page.rows] == [("CT",), ("MR",), ("CT",)]
    by_date = filled.browse.studies(VIEWER, m.PageRequest(sort=SortKey.DATE, descending=False))
    assert [row.study_date for row in by_date.rows] == ["20240101", "20240131", "20250101"]


def test_only_the_first_page_of_a_query_is_recorded(filled: Parts) -> None:
    before = len(filled.records())
    for offset in (0, 1, 2):
        filled.browse.studies(VIEWER, m.PageRequest(filter="mod:CT", offset=offset, limit=1))
        filled.browse.patients(VIEWER, m.PageRequest(offset=offset, limit=1))
    assert [r.detail for r in filled.records()[before:]] == ["mod:CT", "everything"]


def test_a_list_that_a_screen_reads_again_is_one_query_for_ten_minutes(filled: Parts) -> None:
    """While a modality sends, an open list is read again and again."""
    anna, ben = (actor(Role.VIEWER, session_key=key) for key in (1, 2))
    before = len(filled.records())

    def read(who: Actor) -> None:
        filled.browse.patients(who, m.PageRequest())
        filled.browse.studies(who, m.PageRequest(filter="mod:CT"))
        filled.browse.studies_of(who, m.ChildrenRequest(key=1))
        filled.browse.series_of(who, m.ChildrenRequest(key=1))

    read(anna)
    assert len(filled.records()) == before + 4
    read(anna)
    assert len(filled.records()) == before + 4
    read(ben)
    assert len(filled.records()) == before + 8, "another person's query is another one"
    filled.browse.studies(anna, m.PageRequest())
    filled.browse.patients(anna, m.PageRequest(filter="mod:CT"))
    filled.browse.studies_of(anna, m.ChildrenRequest(key=2))
    assert len(filled.records()) == before + 11, "so is another filter, list or patient"
    filled.clock.now += 601
    read(anna)
    assert len(filled.records()) == before + 15


def test_neither_a_later_page_nor_a_refused_query_covers_a_first_page(filled: Parts) -> None:
    anna, before = actor(Role.VIEWER, session_key=1), len(filled.records())
    request = m.PageRequest(offset=1, limit=1)
    filled.browse.patients(anna, request)
    with pytest.raises(UsageError):
        filled.browse.patients(anna, m.PageRequest(filter="foo:bar"))
    with pytest.raises(UsageError):
        filled.browse.patients(anna, m.PageRequest(filter="foo:bar"))
    assert len(filled.records()) == before + 2
    filled.browse.patients(anna, m.PageRequest())
    assert len(filled.records()) == before + 3


@pytest.mark.parametrize(
    "page", [{"offset": -1}, {"limit": 0}, {"limit": 501}, {"limit": -5}, {"filter": "x" * 501}]
)
def test_a_page_that_makes_no_sense_is_refused(parts: Parts, page: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        parts.browse.studies(VIEWER, m.PageRequest(**page))  # type: ignore[arg-type]


def test_today_is_the_day_of_the_archives_own_clock(parts: Parts) -> None:
    today = dt.datetime.fromtimestamp(parts.clock.now).astimezone().date()
    parts.send(StudyDate=f"{today:%Y%m%d}")
    parts.send(StudyDate="20200101")
    assert parts.browse.studies(VIEWER, m.PageRequest(filter="date:today")).matched == 1


def test_a_date_of_old_is_a_date_and_nonsense_is_none(parts: Parts) -> None:
    parts.send(StudyDate=None, StudyTime="101112")
    found = parts.browse.patients(VIEWER, m.PageRequest()).rows
    assert found[0].latest_study_date == ""
    assert parts.browse.studies(VIEWER, m.PageRequest(filter="!date:1900-")).matched == 1


def test_the_calling_ae_that_is_shown_is_the_one_that_is_found(filled: Parts) -> None:
    """The newest object's, also in the filter."""
    dataset = make_dataset(PatientID="P9")
    filled.send(dataset)
    assert filled.browse.studies(VIEWER, m.PageRequest(filter="id:P9 ae:CT1")).matched == 1
    dataset.SOPInstanceUID = new_uid()
    filled.bring(dataset)
    assert filled.browse.studies(VIEWER, m.PageRequest(filter="id:P9 ae:CT1")).matched == 0


def test_a_position_is_asked_for_patients_and_studies_only(filled: Parts) -> None:
    found = filled.browse.position(VIEWER, m.PositionRequest(level=Level.STUDY, key=1))
    assert found.offset == 2
    with pytest.raises(UsageError):
        filled.browse.position(VIEWER, m.PositionRequest(level=Level.SERIES, key=1))


def test_the_studies_of_a_patient_newest_first_and_filtered(filled: Parts) -> None:
    rows = filled.browse.studies_of(VIEWER, m.ChildrenRequest(key=1))
    assert [row.study_date for row in rows.rows] == ["20250101", "20240101"]
    assert filled.last_record().patient_id == "P1"
    only = filled.browse.studies_of(VIEWER, m.ChildrenRequest(key=1, filter="mod:CT"))
    assert ([row.key for row in only.rows], only.total) == ([1], 1)
    second = filled.browse.studies_of(VIEWER, m.ChildrenRequest(key=1, offset=1, limit=1))
    assert ([row.key for row in second.rows], second.total) == ([1], 2)


def test_series_and_instances_by_number(parts: Parts) -> None:
    uid = new_uid()
    for number in ("10", "2", "", "x", "-1"):
        series = {"SeriesNumber": None, "SeriesDescription": number}
        if number.strip("-").isdigit():
            series["SeriesNumber"] = number
        parts.send(StudyInstanceUID=uid, **series)
    rows = parts.browse.series_of(VIEWER, m.ChildrenRequest(key=1))
    assert [row.series_description for row in rows.rows] == ["-1", "2", "10", "", "x"]
    page = parts.browse.series_of(VIEWER, m.ChildrenRequest(key=1, offset=1, limit=2))
    assert ([row.series_number for row in page.rows], page.total) == (["2", "10"], 5)
    assert parts.last_record().study_instance_uid == uid


def test_a_page_of_instances(filled: Parts) -> None:
    page = filled.browse.instances_of(VIEWER, m.ChildrenRequest(key=1, offset=1, limit=5))
    assert [row.instance_number for row in page.rows] == ["2", "3"]
    assert page.total == 3


def test_what_hangs_below_nothing_is_told(parts: Parts) -> None:
    for call in (parts.browse.studies_of, parts.browse.series_of):
        with pytest.raises(NotFoundError):
            call(VIEWER, m.ChildrenRequest(key=9))
    assert parts.browse.instances_of(VIEWER, m.ChildrenRequest(key=9)).total == 0


@pytest.mark.parametrize(
    ("level", "matched"),
    [(Level.PATIENT, 1), (Level.STUDY, 2), (Level.SERIES, 3), (Level.INSTANCE, 8)],
)
@pytest.mark.parametrize("limit", [0, 1, 2, 100])
def test_find_at_each_level_counts_all_and_gives_so_many(
    filled: Parts, level: Level, matched: int, limit: int
) -> None:
    found = filled.browse.find(VIEWER, m.FindRequest(filter="id:P1", level=level, limit=limit))
    lists = {
        Level.PATIENT: found.patients,
        Level.STUDY: found.studies,
        Level.SERIES: found.series,
        Level.INSTANCE: found.instances,
    }
    assert found.matched == matched
    assert len(lists.pop(level)) == min(matched, limit or matched)
    assert not any(lists.values())


def test_a_modality_chooses_among_the_series_of_the_studies_it_chose(parts: Parts) -> None:
    """Modality is a key of the series level (PS3.4 C.6): a CT search lists no structure sets."""
    for modality, series in (("CT", "1.2.3.1"), ("RTSTRUCT", "1.2.3.2")):
        parts.send(
            make_dataset(Modality=modality, SeriesInstanceUID=series, StudyInstanceUID="1.2.3")
        )
    for level in (Level.SERIES, Level.INSTANCE):
        for words, matched in (("mod:ct", 1), ("mod:CT,RTSTRUCT", 2), ("mod:CT !mod:RTSTRUCT", 0)):
            found = parts.browse.find(VIEWER, m.FindRequest(filter=words, level=level))
            assert (found.matched, len(found.series) + len(found.instances)) == (matched, matched)


def test_find_keeps_the_order_from_study_to_instance(filled: Parts) -> None:
    found = filled.browse.find(VIEWER, m.FindRequest(level=Level.INSTANCE))
    keys = [row.key for row in found.instances]
    assert keys == [9, 7, 8, 1, 2, 3, 4, 5, 6]
    series = filled.browse.find(VIEWER, m.FindRequest(level=Level.SERIES)).series
    assert [row.key for row in series] == [4, 3, 1, 2]


def test_find_with_a_limit_below_zero_is_refused(parts: Parts) -> None:
    with pytest.raises(UsageError):
        parts.browse.find(VIEWER, m.FindRequest(limit=-1))


def test_find_in_an_empty_archive(parts: Parts) -> None:
    for level in Level:
        assert parts.browse.find(VIEWER, m.FindRequest(level=level)).matched == 0


def test_show_says_what_a_uid_names(filled: Parts) -> None:
    study = filled.rows("SELECT study_instance_uid FROM study WHERE id = 1")[0][0]
    series = filled.rows("SELECT series_instance_uid FROM series WHERE id = 2")[0][0]
    instance = filled.rows("SELECT sop_instance_uid FROM instance WHERE id = 5")[0][0]
    expected = {
        study: (Level.STUDY, [1], [1], [1, 2], []),
        series: (Level.SERIES, [1], [1], [2], [4, 5, 6]),
        instance: (Level.INSTANCE, [1], [1], [2], [5]),
        "P1": (Level.PATIENT, [1], [2, 1], [], []),
    }
    for uid, answer in expected.items():
        shown = filled.browse.show(VIEWER, m.UidRequest(uid=f" {uid} "))
        assert (
            shown.level,
            [row.key for row in shown.patients],
            [row.key for row in shown.studies],
            [row.key for row in shown.series],
            [row.key for row in shown.instances],
        ) == answer
    assert filled.last_record().patient_id == "P1"
    for nothing in ("", "1.2.3", "p1", "%"):
        with pytest.raises(NotFoundError):
            filled.browse.show(VIEWER, m.UidRequest(uid=nothing))


def test_a_uid_under_two_patients_shows_both(parts: Parts) -> None:
    uid = new_uid()
    for patient in ("P1", "P2"):
        parts.send(StudyInstanceUID=uid, SOPInstanceUID=uid, PatientID=patient)
    shown = parts.browse.show(VIEWER, m.UidRequest(uid=uid))
    assert [row.patient_id for row in shown.patients] == ["P1", "P2"]
    assert all(Flag.UID_SHARED in row.flags for row in shown.studies)


def test_patients_without_an_id_are_not_one_another(parts: Parts) -> None:
    parts.send(PatientID=None)
    with pytest.raises(NotFoundError):
        parts.browse.show(VIEWER, m.UidRequest(uid=""))


def test_changes_give_each_row_once_and_say_whether_there_is_more(filled: Parts) -> None:
    first = filled.browse.changes(VIEWER, m.ChangesRequest(after_seq=0, limit=7))
    assert (first.as_of_seq, first.more) == (7, True)
    assert [row.key for row in first.studies] == [1, 2]
    assert [row.key for row in first.patients] == [1]
    assert first.series_keys == (1, 2, 3)
    assert first.studies[1].number_of_study_related_instances == 2  # as it is now
    rest = filled.browse.changes(VIEWER, m.ChangesRequest(after_seq=7))
    assert (rest.as_of_seq, rest.more) == (9, False)
    assert [row.key for row in rest.studies] == [2, 3]
    assert rest.totals.instances == 9
    nothing = filled.browse.changes(VIEWER, m.ChangesRequest(after_seq=9))
    assert (nothing.as_of_seq, nothing.more, nothing.studies) == (9, False, ())


def test_a_screen_that_is_ahead_of_a_new_index_comes_back_to_it(filled: Parts) -> None:
    assert filled.browse.changes(VIEWER, m.ChangesRequest(after_seq=1000)).as_of_seq == 9


@pytest.mark.parametrize("limit", [0, 501, -1])
def test_a_limit_of_changes_that_makes_no_sense_is_refused(parts: Parts, limit: int) -> None:
    with pytest.raises(UsageError):
        parts.browse.changes(VIEWER, m.ChangesRequest(after_seq=0, limit=limit))


def representative(parts: Parts, level: Level, key: int) -> tuple[int, int, int] | None:
    with parts.index.read() as reader:
        return lookup.representative(reader, level, key)


def test_the_middle_image_of_the_largest_image_series_stands_for_a_row(parts: Parts) -> None:
    uid = new_uid()
    report = "1.2.840.10008.5.1.4.1.1.88.11"
    for dataset in make_study(
        1, 9, StudyInstanceUID=uid, pixels=False, SOPClassUID=report, Modality="SR"
    ):
        parts.send(dataset)  # 1 to 9: many, and no images
    for size in (2, 5):
        for dataset in make_study(1, size, StudyInstanceUID=uid, SeriesNumber=size):
            dataset.StudyInstanceUID = uid
            parts.send(dataset)  # 10, 11 and 12 to 16
    assert representative(parts, Level.STUDY, 1) == (14, 3, 5)
    assert representative(parts, Level.PATIENT, 1) == (14, 3, 5)
    assert representative(parts, Level.SERIES, 2) == (11, 2, 2)
    assert representative(parts, Level.SERIES, 1) == (5, 5, 9)
    assert representative(parts, Level.INSTANCE, 16) == (16, 5, 5)
    for level in Level:
        assert representative(parts, level, 99) is None


def test_the_newest_study_with_images_stands_for_a_patient(parts: Parts) -> None:
    parts.send(PatientID="P1", StudyDate="20200101")
    parts.send(PatientID="P1", StudyDate="20230101")
    parts.send(PatientID="P1", StudyDate="20250101", pixels=False)
    assert representative(parts, Level.PATIENT, 1) == (2, 1, 1)
