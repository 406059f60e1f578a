"""After whatever came in, in whatever order, counters, flags and feed equal a recount."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tests.unit.services.parts import Parts, actor, opened, received, take
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.permissions import Role
from tuipacs.domain.records import Flag
from tuipacs.errors import StorageFullError
from tuipacs.index.database import Transaction
from tuipacs.index.flags import BIT

PEOPLE: list[dict[str, Any]] = [
    {"PatientID": "P1", "PatientName": "ONE"},
    {"PatientID": "P1", "PatientName": "ONE", "IssuerOfPatientID": "B"},
    {"PatientID": "P2", "PatientName": "TWO^Ä"},
    {"PatientID": None, "PatientName": "NOBODY"},
]

arrivals = st.fixed_dictionaries(
    {
        "person": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "study": st.sampled_from([1, 1, 2]),
        "series": st.sampled_from([1, 1, 2]),
        "instance": st.integers(1, 3),
        "bytes": st.integers(1, 2),
        "modality": st.sampled_from(["CT", "SR", ""]),
        "date": st.sampled_from(["20240131", "2023.01.02", "", "nonsense"]),
        "way": st.sampled_from(["peer", "peer", "file", "bare", "full", "fails"]),
        "calling": st.sampled_from(["CT1", "MR2"]),
    }
)


def make(given_: dict[str, Any]) -> Dataset:
    study, series = given_["study"], f"{given_['study']}.{given_['series']}"
    return make_dataset(
        pixels=False,
        StudyInstanceUID=f"1.2.{study}",
        SeriesInstanceUID=f"1.2.{series}",
        SOPInstanceUID=f"1.2.9.{given_['instance']}",
        ImageComments="x" * given_["bytes"],
        Modality=given_["modality"],
        StudyDate="20200101",
        **PEOPLE[given_["person"]],
    )


def bring(parts: Parts, given_: dict[str, Any]) -> IngestResult | None:
    """The result, or None if it was made to fail."""
    dataset = make(given_)
    date = given_["date"].ljust(10).encode()
    whole = part10_bytes(dataset).replace(b"DA\x08\x0020200101", b"DA\x0a\x00" + date, 1)
    data = dataset_bytes(dataset).replace(b"DA\x08\x0020200101", b"DA\x0a\x00" + date, 1)
    technologist = actor(Role.TECHNOLOGIST)
    match given_["way"]:
        case "peer":
            return take(
                parts.ingest,
                received(
                    data,
                    sop_class_uid=dataset.SOPClassUID,
                    sop_instance_uid=dataset.SOPInstanceUID,
                    calling_ae_title=given_["calling"],
                ),
            )
        case "file":
            return parts.ingest.import_file(technologist, io.BytesIO(whole))
        case "bare":
            return parts.ingest.import_file(technologist, io.BytesIO(data))
        case way:
            error = StorageFullError("full") if way == "full" else ValueError("a bug")

            def fail(tx: Transaction, result: IngestResult) -> None:
                raise error

            with pytest.raises(type(error)):
                parts.ingest.import_file(technologist, io.BytesIO(whole), fail)
            return None


def check_results(
    history: list[tuple[dict[str, Any], IngestResult | None]],
) -> list[tuple[dict[str, Any], str]]:
    """Compare with the simplest possible archive; return what it holds, in order."""
    kept: dict[int, list[bytes]] = defaultdict(list)
    held = []
    for given_, result in history:
        if result is None:
            continue
        data = repr(sorted((k, given_[k]) for k in given_ if k not in ("way", "calling")))
        versions = kept[given_["instance"]]
        if data.encode() in versions:
            assert result is IngestResult.DUPLICATE
            continue
        expected = IngestResult.CONFLICT if versions else IngestResult.STORED
        assert result is expected
        versions.append(data.encode())
        held.append((given_, expected.value))
    return held


def recount(parts: Parts) -> None:
    """All that is kept beside the instances, made again from the instances."""
    rows = parts.rows(
        "SELECT i.id, i.sop_instance_uid, i.version, i.header_size + i.dataset_size, i.flags,"
        " i.received_at, i.calling_ae_title, r.id, r.modality, r.flags, s.id, s.study_instance_uid,"
        " s.flags, p.id, p.patient_id, p.flags, i.blob_key, i.sop_class_uid"
        " FROM instance i JOIN series r ON r.id = i.series JOIN study s ON s.id = r.study"
        " JOIN patient p ON p.id = s.patient ORDER BY i.id"
    )
    conflict, shared = BIT[Flag.CONFLICT], BIT[Flag.UID_SHARED]
    uids = Counter(row[1] for row in rows)
    for uid in uids:
        assert sorted(r[2] for r in rows if r[1] == uid) == list(range(1, uids[uid] + 1))
    assert {row[16] for row in rows} == {f"{p.parent.name}/{p.name}" for p in parts.files()}
    studies = {(row[10], row[11]) for row in rows}
    study_uids = Counter(uid for _, uid in studies)
    for place, table in ((7, "series"), (10, "study"), (13, "patient")):
        keys = {row[place] for row in rows}
        assert keys == {row[0] for row in parts.rows(f"SELECT id FROM {table}")}  # noqa: S608
        for key in keys:
            own = [row for row in rows if row[place] == key]
            ((instances, size, at, flags),) = parts.rows(
                f"SELECT instances, bytes, received_at, flags FROM {table} WHERE id = ?",  # noqa: S608
                key,
            )
            # Versions of one SOP instance are one instance (PS3.4 C.3.4); the bytes are all kept.
            assert (instances, size) == (len({r[1] for r in own}), sum(r[3] for r in own))
            assert at == own[-1][5]
            assert bool(flags & conflict) == any(uids[row[1]] > 1 for row in own)
            assert bool(flags & BIT[Flag.REMARK]) == (
                table != "patient" and any(row[4] & BIT[Flag.REMARK] for row in own)
            )
            if table != "series":
                assert bool(flags & shared) == any(study_uids[row[11]] > 1 for row in own)
                assert bool(flags & BIT[Flag.NO_PATIENT_ID]) == (own[0][14] == "")
            if table == "study":
                check_study(parts, key, own)
            if table == "patient":
                check_patient(parts, key, own)
    for row in rows:
        assert bool(row[4] & conflict) == (uids[row[1]] > 1)
    ((_, *total),) = parts.rows("SELECT * FROM total")
    assert total == [
        len({row[13] for row in rows}),
        len(studies),
        len({row[7] for row in rows}),
        len({row[1] for row in rows}),
        sum(row[3] for row in rows),
    ]
    use = {
        modality: (
            len({row[7] for row in rows if row[8] == modality}),
            len({(row[7], row[1]) for row in rows if row[8] == modality}),
            sum(row[3] for row in rows if row[8] == modality),
        )
        for modality in {row[8] for row in rows}
    }
    assert {row[0]: row[1:] for row in parts.rows("SELECT * FROM modality_use")} == use


def check_study(parts: Parts, key: int, own: list[Any]) -> None:
    ((series, modalities, classes, calling, date, flags, at),) = parts.rows(
        "SELECT series, modalities, sop_classes, calling_ae_title, sort_date, flags, received_at"
        " FROM study WHERE id = ?",
        key,
    )
    assert series == len({row[7] for row in own})
    assert modalities == "\\".join(sorted({row[8] for row in own} - {""}))
    assert classes == "\\".join(sorted({row[17] for row in own}))
    assert calling == own[-1][6]
    found = parts.rows(
        "SELECT modalities, calling_ae_title, sort_date, flags, received_at"
        " FROM study_search WHERE study = ?",
        key,
    )
    words = f" {modalities.replace(chr(92), ' ').lower()} " if modalities else ""
    assert found == [(words, calling.lower(), date, flags, at)]


def check_patient(parts: Parts, key: int, own: list[Any]) -> None:
    ((series, studies, modalities, date),) = parts.rows(
        "SELECT series, studies, modalities, sort_date FROM patient WHERE id = ?", key
    )
    assert (series, studies) == (len({row[7] for row in own}), len({row[10] for row in own}))
    assert modalities == "\\".join(sorted({row[8] for row in own} - {""}))
    assert [(date,)] == parts.rows("SELECT max(sort_date) FROM study WHERE patient = ?", key)


def check_feed(parts: Parts, held: list[tuple[dict[str, Any], str]]) -> None:
    """Each kept object once, in the order in which it was kept, with its own keys."""
    feed = parts.rows("SELECT seq, kind, patient, study, series, instance FROM change ORDER BY seq")
    assert [row[0] for row in feed] == list(range(1, len(feed) + 1))
    objects = [row for row in feed if row[1] != "flagged"]
    assert [row[1] for row in objects] == [kind for _, kind in held]
    assert [row[5] for row in objects] == list(range(1, len(held) + 1))
    for row in objects:
        assert [row[2:5]] == parts.rows(
            "SELECT s.patient, s.id, r.id FROM instance i JOIN series r ON r.id = i.series"
            " JOIN study s ON s.id = r.study WHERE i.id = ?",
            row[5],
        )


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(arrivals, min_size=3, max_size=14))
def test_counters_flags_and_feed_equal_a_recount(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[dict[str, Any]]
) -> None:
    with opened(tmp_path_factory.mktemp("counters")) as parts:
        parts.index.database.connection().execute("PRAGMA synchronous = off")
        history = []
        for given_ in wanted:
            parts.clock.now += 1
            history.append((given_, bring(parts, given_)))
        held = check_results(history)
        recount(parts)
        check_feed(parts, held)
        results = [result for _, result in history]
        done = sum(result is not None for result in results)
        assert [r.outcome for r in parts.records()].count("success") == done
