"""Objects come in: never lost, never twice, never over one another, and counted rightly."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import apsw
import pydicom
import pydicom.data
import pytest
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tests.bundled import bundled_files
from tests.unit.services.parts import Parts, actor, opened, received, take
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.permissions import Role
from tuipacs.domain.records import Flag
from tuipacs.domain.uid import new_uid
from tuipacs.errors import (
    InvalidObjectError,
    StorageFailedError,
    StorageFullError,
    UidMismatchError,
)
from tuipacs.index.database import Transaction
from tuipacs.index.flags import flags_of
from tuipacs.storage.local import LocalStore
from tuipacs.storage.spool import LocalSpool

TECHNOLOGIST = actor(Role.TECHNOLOGIST)


def flags(parts: Parts, table: str) -> list[tuple[Flag, ...]]:
    """Flags of all rows of a table, by key."""
    rows = parts.rows(f"SELECT flags FROM {table} ORDER BY id")  # noqa: S608
    return [flags_of(row[0]) for row in rows]


def changes(parts: Parts) -> list[tuple[object, ...]]:
    return parts.rows("SELECT kind, patient, study, series, instance FROM change ORDER BY seq")


def test_a_received_object_is_durable_indexed_and_told(parts: Parts) -> None:
    dataset = make_dataset(PatientID="P1")
    told: list[int] = []
    parts.wakeups.listen(lambda: told.append(parts.wakeups.versions.seq))
    assert parts.send(dataset) is IngestResult.STORED
    ((key, header_size, digest),) = parts.rows(
        "SELECT blob_key, header_size, dataset_sha256 FROM instance"
    )
    (path,) = parts.files()
    assert parts.store.path(key) == path
    assert path.read_bytes()[header_size:] == dataset_bytes(dataset)
    assert hashlib.sha256(dataset_bytes(dataset)).digest() == digest
    assert changes(parts) == [("stored", 1, 1, 1, 1)]
    assert told == [1]
    (record,) = parts.records()
    assert (record.operation, record.outcome) == ("ingest.store", AuditOutcome.SUCCESS)
    assert (record.patient_id, record.sop_instance_uid) == ("P1", dataset.SOPInstanceUID)


def test_the_file_names_who_sent_it_to_whom(parts: Parts) -> None:
    parts.send()
    meta = pydicom.dcmread(parts.files()[0]).file_meta
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert meta.ReceivingApplicationEntityTitle == "TUIPACS"


def test_the_same_object_again_writes_nothing(parts: Parts) -> None:
    dataset = make_dataset()
    parts.send(dataset)
    before = [parts.rows(f"SELECT * FROM {t}") for t in ("instance", "study", "change", "total")]  # noqa: S608
    files = [(path, path.stat().st_mtime_ns) for path in parts.files()]
    assert parts.send(dataset) is IngestResult.DUPLICATE
    assert parts.bring(dataset) is IngestResult.DUPLICATE
    after = [parts.rows(f"SELECT * FROM {t}") for t in ("instance", "study", "change", "total")]  # noqa: S608
    assert after == before
    assert [(path, path.stat().st_mtime_ns) for path in parts.files()] == files
    assert [r.detail for r in parts.records()][1:] == [
        "identical object received again",
        "identical object imported again",
    ]


def test_other_bytes_under_a_known_uid_are_kept_beside_and_flagged_everywhere(
    parts: Parts,
) -> None:
    first = make_dataset(PatientID="P1")
    parts.send(first)
    parts.send(PatientID="P2")  # somebody else
    first.StudyDescription = "CHANGED"
    assert parts.send(first) is IngestResult.CONFLICT
    assert parts.rows("SELECT version FROM instance ORDER BY id") == [(1,), (1,), (2,)]
    assert len(parts.files()) == 3
    assert flags(parts, "instance") == [(Flag.CONFLICT,), (), (Flag.CONFLICT,)]
    for table in ("series", "study", "patient"):
        assert flags(parts, table) == [(Flag.CONFLICT,), ()]
    assert parts.rows("SELECT flags FROM study_search ORDER BY study") == [(1,), (0,)]
    assert changes(parts)[2:] == [("flagged", 1, 1, 1, 0), ("conflict", 1, 1, 1, 3)]
    assert "both are kept" in parts.last_record().detail


def test_a_uid_that_comes_again_in_another_study_flags_both(parts: Parts) -> None:
    uid = new_uid()
    parts.send(SOPInstanceUID=uid, PatientID="P1")
    assert parts.send(SOPInstanceUID=uid, PatientID="P2") is IngestResult.CONFLICT
    for table in ("instance", "series", "study", "patient"):
        assert flags(parts, table) == [(Flag.CONFLICT,), (Flag.CONFLICT,)]
    told = {row[2] for row in changes(parts)[1:]}
    assert told == {1, 2}  # both studies' rows have changed on the screens


def at_once(parts: Parts, works: list[Callable[[], IngestResult]]) -> list[IngestResult]:
    barrier = Barrier(len(works))

    def run(work: Callable[[], IngestResult]) -> IngestResult:
        barrier.wait(20)
        try:
            return work()
        finally:
            parts.index.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_eight_peers_with_the_same_object_at_once_make_one_row_and_one_file(parts: Parts) -> None:
    dataset = make_dataset()
    data = received(dataset)
    results = at_once(parts, [lambda: take(parts.ingest, data)] * 8)
    assert sorted(results) == [IngestResult.DUPLICATE] * 7 + [IngestResult.STORED]
    assert parts.rows("SELECT count(*) FROM instance") == [(1,)]
    assert len(parts.files()) == 1
    assert parts.rows("SELECT instances FROM total") == [(1,)]
    assert len(parts.records()) == 8


def test_eight_peers_with_one_uid_and_other_bytes_at_once_make_eight_versions(
    parts: Parts,
) -> None:
    dataset = make_dataset()
    works = []
    for number in range(8):
        dataset.ImageComments = f"number {number}"
        data = received(dataset)
        works.append(lambda data=data: take(parts.ingest, data))
    results = at_once(parts, works)
    assert sorted(results) == [IngestResult.CONFLICT] * 7 + [IngestResult.STORED]
    versions = parts.rows("SELECT version FROM instance ORDER BY version")
    assert versions == [(number,) for number in range(1, 9)]
    assert {row[0] for row in parts.rows("SELECT flags FROM instance")} == {1}
    assert len(parts.files()) == 8


def test_one_study_uid_under_two_patients_is_two_flagged_rows(parts: Parts) -> None:
    """No name ever stands over another's pictures."""
    uid = new_uid()
    parts.send(StudyInstanceUID=uid, PatientID="P1", PatientName="ONE")
    parts.send(StudyInstanceUID=uid, PatientID="P2", PatientName="TWO")
    parts.send(StudyInstanceUID=uid, PatientID="P2", PatientName="TWO")
    rows = parts.rows("SELECT patient, patient_name, instances FROM study ORDER BY id")
    assert rows == [(1, "ONE", 1), (2, "TWO", 2)]
    for table in ("study", "patient"):
        assert flags(parts, table) == [(Flag.UID_SHARED,), (Flag.UID_SHARED,)]
    assert changes(parts)[1][:3] == ("flagged", 1, 1)


def test_without_an_id_each_study_is_its_own_patient(parts: Parts) -> None:
    """Nobody is merged by accident, whatever the name."""
    uid = new_uid()
    parts.send(PatientID=None, PatientName="DOE", StudyInstanceUID=uid)
    parts.send(PatientID="", PatientName="DOE", StudyInstanceUID=uid)
    parts.send(PatientID=None, PatientName="DOE")
    assert parts.rows("SELECT studies, instances FROM patient ORDER BY id") == [(1, 2), (1, 1)]
    assert flags(parts, "patient") == [(Flag.NO_PATIENT_ID,)] * 2
    assert flags(parts, "study") == [(Flag.NO_PATIENT_ID,)] * 2
    assert flags(parts, "instance") == [()] * 3  # the flag says it: no remark beside it


def test_an_issuer_makes_another_patient(parts: Parts) -> None:
    parts.send(PatientID="P1", IssuerOfPatientID="A")
    parts.send(PatientID="P1", IssuerOfPatientID="B")
    parts.send(PatientID="P1")
    assert parts.rows("SELECT count(*) FROM patient") == [(3,)]


def test_an_id_cannot_be_made_to_look_like_an_id_with_an_issuer(parts: Parts) -> None:
    parts.send(PatientID="A B", IssuerOfPatientID="C")
    parts.send(PatientID="A", IssuerOfPatientID="B C")
    parts.send(PatientID="A\x1fB", IssuerOfPatientID="")
    parts.send(PatientID="A", IssuerOfPatientID="B\x1f")
    assert parts.rows("SELECT count(*) FROM patient") == [(4,)]


def test_another_name_under_one_id_is_flagged_where_it_stands(parts: Parts) -> None:
    parts.send(PatientID="P1", PatientName="DOE^JANE")
    parts.send(PatientID="P1", PatientName="ROE^RICHARD")
    parts.send(PatientID="P1", PatientName="Doe^Jane^^^")
    mismatch = (Flag.PATIENT_MISMATCH,)
    assert flags(parts, "patient") == [mismatch]
    assert flags(parts, "study") == [(), mismatch, ()]
    assert flags(parts, "series") == [(), mismatch, ()]
    assert parts.rows("SELECT patient_name FROM study")[1] == ("ROE^RICHARD",)


@pytest.mark.parametrize(
    ("keyword", "one", "other", "differ"),
    [
        ("PatientBirthDate", "19700101", "19700102", True),
        ("PatientSex", "F", "M", True),
        ("PatientName", "MÜLLER^ANNE", "Mueller^Anne", True),
        ("PatientName", "MÜLLER^ANNE", "müller^anne", False),
        ("PatientBirthDate", "19700101", "", False),
        ("PatientSex", "", "M", False),
    ],
)
def test_what_counts_as_another_person(
    parts: Parts, keyword: str, one: str, other: str, differ: bool
) -> None:
    parts.send(PatientID="P1", **{keyword: one})
    parts.send(PatientID="P1", **{keyword: other})
    assert flags(parts, "patient") == [(Flag.PATIENT_MISMATCH,) if differ else ()]


def test_an_oddity_is_flagged_up_to_the_study(parts: Parts) -> None:
    dataset = make_dataset()
    data = dataset_bytes(dataset).replace(b"ISO_IR 192", b"ISO_IR 999")
    take(
        parts.ingest,
        received(data, sop_class_uid=dataset.SOPClassUID, sop_instance_uid=dataset.SOPInstanceUID),
    )
    assert flags(parts, "instance") == [(Flag.REMARK,)]
    assert flags(parts, "series") == [(Flag.REMARK,)]
    assert flags(parts, "study") == [(Flag.REMARK,)]
    assert flags(parts, "patient") == [()]


@pytest.mark.parametrize(
    "other",
    [{"sop_instance_uid": "1.2.3"}, {"sop_class_uid": SecondaryCaptureImageStorage}],
    ids=["instance", "class"],
)
def test_a_command_that_names_another_object_is_refused_into_quarantine(
    parts: Parts, other: dict[str, str]
) -> None:
    dataset = make_dataset()
    with pytest.raises(UidMismatchError):
        take(parts.ingest, received(dataset, **other))
    assert parts.files() == []
    (kept,) = (parts.folder / "quarantine").glob("*.bin")
    assert kept.read_bytes() == dataset_bytes(dataset)
    record = parts.last_record()
    assert (record.outcome, record.actor) == (AuditOutcome.FAILURE, "CT1")
    assert "another SOP class or instance" in record.detail


def test_padding_of_a_uid_in_the_command_is_no_difference(parts: Parts) -> None:
    dataset = make_dataset()
    padded = received(dataset, sop_instance_uid=dataset.SOPInstanceUID + "\0")
    assert take(parts.ingest, padded) is IngestResult.STORED


def test_what_is_no_object_is_refused_into_quarantine(parts: Parts) -> None:
    data = dataset_bytes(make_dataset(StudyInstanceUID=None))
    with pytest.raises(InvalidObjectError):
        take(parts.ingest, received(data, sop_class_uid="1.2", sop_instance_uid="1.2.3"))
    assert parts.files() == []
    assert parts.quarantine.count() == 1


def test_a_refusal_does_not_depend_on_quarantine(parts: Parts) -> None:
    (parts.folder / "quarantine").rmdir()
    with pytest.raises(InvalidObjectError):
        take(parts.ingest, received(b"nonsense", sop_class_uid="1", sop_instance_uid="2"))
    assert parts.last_record().outcome is AuditOutcome.FAILURE


def test_a_full_disk_refuses_and_the_refusal_is_recorded(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=1 << 62)
    with opened(tmp_path, store) as parts:
        for bring in (parts.send, parts.bring):
            with pytest.raises(StorageFullError):
                bring(make_dataset())
        assert parts.files() == []
        assert parts.rows("SELECT count(*) FROM instance") == [(0,)]
        assert [r.outcome for r in parts.records()] == ["failure"] * 2


def test_a_full_index_refuses_and_the_file_is_removed_again(parts: Parts) -> None:
    parts.send()
    connection = parts.index.database.connection()
    pages = connection.execute("PRAGMA page_count").fetchall()[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFullError):
        for _ in range(1000):
            parts.send()
    assert len(parts.files()) == parts.rows("SELECT count(*) FROM instance")[0][0]
    assert parts.store.failure == ""
    connection.execute(f"PRAGMA max_page_count = {pages * 100}")
    assert parts.send() is IngestResult.STORED


def test_an_index_that_refuses_the_row_leaves_no_file(parts: Parts) -> None:
    with parts.index.write() as tx:
        tx.execute("CREATE TRIGGER no BEFORE INSERT ON change BEGIN SELECT RAISE(ABORT, 'no'); END")
    for bring in (parts.send, parts.bring):
        with pytest.raises(apsw.ConstraintError):
            bring(make_dataset())
    assert parts.files() == []
    assert parts.rows("SELECT patients, instances, bytes FROM total") == [(0, 0, 0)]


def test_a_commit_that_broke_on_the_disk_keeps_the_file_and_stops_storing(parts: Parts) -> None:
    """Nobody knows whether it will be found after a crash; the file waits for its row."""

    def break_disk(tx: Transaction, result: IngestResult) -> None:
        raise StorageFailedError("disk I/O error")

    whole = part10_bytes(make_dataset())
    with pytest.raises(StorageFailedError):
        parts.ingest.import_file(TECHNOLOGIST, io.BytesIO(whole), break_disk)
    assert len(parts.files()) == 1
    assert "index could not be written" in parts.store.failure
    with pytest.raises(StorageFailedError, match="read-only"):
        parts.send()
    with opened(parts.folder) as restarted:
        assert restarted.ingest.recover() == (1, 0)
        assert restarted.rows("SELECT count(*) FROM instance") == [(1,)]
        assert restarted.bring(whole) is IngestResult.DUPLICATE


def test_what_runs_in_the_transaction_is_part_of_it(parts: Parts) -> None:
    """A job's count and its object commit together, or neither does."""
    whole = part10_bytes(make_dataset())

    def fail(tx: Transaction, result: IngestResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.ingest.import_file(TECHNOLOGIST, io.BytesIO(whole), fail)
    assert parts.files() == []
    assert parts.rows("SELECT count(*) FROM instance") == [(0,)]
    told: list[IngestResult] = []
    for _ in range(2):
        parts.ingest.import_file(TECHNOLOGIST, io.BytesIO(whole), lambda _, r: told.append(r))
    assert told == [IngestResult.STORED, IngestResult.DUPLICATE]


_FILES = bundled_files("*.dcm")


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_an_imported_file_is_kept_byte_for_byte_or_refused_in_words(
    parts: Parts, path: Path
) -> None:
    data = path.read_bytes()
    if len(data) > 5_000_000:
        pytest.skip("large")
    try:
        result = parts.bring(data)
    except InvalidObjectError as error:
        assert error.message
        assert parts.files() == []
        return
    assert result is IngestResult.STORED
    (kept,) = parts.files()
    stored = kept.read_bytes()
    if data[128:132] == b"DICM" and b"\x02\x00\x03\x00UI" in data[:400]:
        assert stored == data
    else:
        assert stored.endswith(data[-1000:])


def test_a_bare_dataset_gets_a_header_and_stays_the_same_behind_it(parts: Parts) -> None:
    dataset = make_dataset()
    bare = dataset_bytes(dataset, ImplicitVRLittleEndian)
    assert parts.bring(bare) is IngestResult.STORED
    (kept,) = parts.files()
    ((header_size,),) = parts.rows("SELECT header_size FROM instance")
    assert kept.read_bytes()[header_size:] == bare
    again = pydicom.dcmread(kept)
    assert again.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert again.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert parts.bring(bare) is IngestResult.DUPLICATE


def test_a_file_whose_header_names_another_object_says_so(parts: Parts) -> None:
    dataset = make_dataset()
    whole = bytearray(part10_bytes(dataset))
    place = whole.index(str(dataset.SOPInstanceUID).encode())
    whole[place : place + 4] = b"1.25"
    parts.bring(bytes(whole))
    ((remarks, uid),) = parts.rows("SELECT remarks, sop_instance_uid FROM instance")
    assert "another SOP instance" in remarks
    assert uid == dataset.SOPInstanceUID  # what is inside counts


def test_a_dicomdir_is_no_object(parts: Parts) -> None:
    path = bundled_files("DICOMDIR")[0]
    with pytest.raises(InvalidObjectError, match="DICOMDIR"):
        parts.bring(path.read_bytes())
    assert parts.files() == []


def test_a_file_cut_at_any_place_is_kept_or_refused_and_leaves_nothing_else(
    parts: Parts,
) -> None:
    whole = part10_bytes(make_dataset())
    stored = 0
    for end in [*range(0, len(whole), 37), 131, 132, 133, len(whole) - 1]:
        try:
            stored += parts.bring(whole[:end]) is not IngestResult.DUPLICATE
        except InvalidObjectError as error:
            assert error.message
    assert len(parts.files()) == stored
    assert parts.rows("SELECT count(*) FROM instance") == [(stored,)]
    assert parts.rows("SELECT instances FROM total") == [(1,)]  # versions of one SOP instance


def test_a_real_file_that_is_refused_is_refused_in_words(parts: Parts, tmp_path: Path) -> None:
    """Through a mapped file: nothing of the mapping is left behind by the error."""
    whole = part10_bytes(make_dataset())
    for number, data in enumerate((whole[: len(whole) // 3], whole[:400], b"", b"x" * 500)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        with pytest.raises(InvalidObjectError), path.open("rb") as file:
            parts.ingest.import_file(TECHNOLOGIST, file)
    assert parts.files() == []


def orphan(parts: Parts, header: bytes, dataset: bytes) -> str:
    """A finished file as a crash before the commit leaves it."""
    spool = parts.store.spool(header)
    spool.write(dataset)
    return spool.keep().key


_OWN = ("id", "blob_key", "header_size", "header_sha256", "received_at")


def test_an_adopted_object_is_what_a_normal_store_would_have_made(tmp_path: Path) -> None:
    dataset = make_dataset()
    for name in ("normal", "crashed"):
        (tmp_path / name).mkdir()
    tables = ("patient", "study", "study_search", "series", "instance", "total", "modality_use")
    with opened(tmp_path / "normal") as normal:
        normal.send(dataset)
        stored = normal.files()[0].read_bytes()
        ((header_size,),) = normal.rows("SELECT header_size FROM instance")
        expected = [normal.rows(f"SELECT * FROM {t}") for t in tables]  # noqa: S608
        feed = changes(normal)
    with opened(tmp_path / "crashed") as crashed:
        key = orphan(crashed, stored[:header_size], stored[header_size:])
        (crashed.folder / "objects" / "000001" / ("0" * 32 + ".part")).write_bytes(b"half")
        assert crashed.ingest.recover() == (1, 1)
        found = [crashed.rows(f"SELECT * FROM {t}") for t in tables]  # noqa: S608
        assert crashed.rows("SELECT blob_key FROM instance") == [(key,)]
        assert changes(crashed) == feed
        assert crashed.wakeups.versions.seq == 1
        record = crashed.last_record()
        assert (record.operation, record.actor) == ("ingest.adopt", "tuipacs")
        assert crashed.ingest.recover() == (0, 0)
    different = {
        column
        for one, other in zip(expected, found, strict=True)
        for column in _differences(one, other)
    }
    (row,) = expected[4]
    blob_key = next(index for index, value in enumerate(row) if value == _key_in(row))
    assert different == {blob_key}


def _differences(one: list[tuple[object, ...]], other: list[tuple[object, ...]]) -> set[int]:
    assert len(one) == len(other)
    return {
        index
        for row, twin in zip(one, other, strict=True)
        for index, (value, second) in enumerate(zip(row, twin, strict=True))
        if value != second
    }


def _key_in(row: tuple[object, ...]) -> object:
    return next(value for value in row if isinstance(value, str) and value.startswith("000001/"))


def test_an_orphan_that_is_known_is_removed(parts: Parts) -> None:
    parts.send(dataset := make_dataset())
    stored = parts.files()[0].read_bytes()
    ((header_size,),) = parts.rows("SELECT header_size FROM instance")
    orphan(parts, stored[:header_size], dataset_bytes(dataset))
    assert parts.ingest.recover() == (0, 0)
    assert len(parts.files()) == 1
    assert parts.rows("SELECT instances FROM total") == [(1,)]


def test_an_orphan_that_cannot_be_read_goes_to_quarantine(parts: Parts) -> None:
    orphan(parts, b"\0" * 128 + b"DICM", b"nonsense, and more of it")
    assert parts.ingest.recover() == (0, 0)
    assert parts.files() == []
    (kept,) = (parts.folder / "quarantine").glob("*.bin")
    assert kept.read_bytes().endswith(b"nonsense, and more of it")


def test_an_orphan_that_finds_no_room_in_quarantine_stays(parts: Parts) -> None:
    """Nothing is thrown away because there is no better place for it."""
    orphan(parts, b"\0" * 128 + b"DICM", b"nonsense, and more of it")
    (parts.folder / "quarantine").rmdir()
    assert parts.ingest.recover() == (0, 0)
    assert len(parts.files()) == 1


def test_an_empty_orphan_does_not_keep_the_archive_from_starting(parts: Parts) -> None:
    orphan(parts, b"", b"")
    parts.ingest.recover()
    assert parts.files() == []


class LittleRoom(LocalStore):
    """A disk that is full after so many bytes of datasets, and may not let go of files."""

    room = 0
    keeps_files = False

    def spool(self, header: bytes) -> LocalSpool:
        store = self

        class Spool(LocalSpool):
            def write(self, chunk: bytes | memoryview) -> None:
                store.room -= len(chunk)
                if store.room < 0:
                    raise StorageFullError("the disk is full")
                super().write(chunk)

        return Spool(self, self._place(), header)

    def remove(self, key: str) -> None:
        if self.keeps_files:
            raise StorageFailedError("removing a file failed: Input/output error")
        super().remove(key)


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Parts]:
    with opened(tmp_path, LittleRoom(tmp_path / "objects", reserve=0)) as parts:
        yield parts


@pytest.mark.parametrize("copies", [0.5, 1.5], ids=["while it comes", "while it gets its header"])
def test_a_disk_that_fills_up_in_the_middle_of_an_object_keeps_no_part_of_it(
    tight: Parts, copies: float
) -> None:
    bare = dataset_bytes(make_dataset())
    assert isinstance(tight.store, LittleRoom)
    tight.store.room = int(copies * len(bare))
    with pytest.raises(StorageFullError):
        tight.bring(bare)
    assert tight.files() == []
    tight.store.room = len(bare) // 2
    with pytest.raises(StorageFullError):
        tight.send()
    assert tight.files() == []
    assert tight.rows("SELECT instances FROM total") == [(0,)]
    tight.store.room = 10 * len(bare)
    assert tight.bring(bare) is IngestResult.STORED


def test_a_file_that_cannot_be_removed_changes_no_answer(tight: Parts) -> None:
    """It is an orphan, and the next start finds it known."""
    assert isinstance(tight.store, LittleRoom)
    tight.store.room = 1 << 20
    tight.store.keeps_files = True
    with tight.index.write() as tx:
        tx.execute("CREATE TRIGGER no BEFORE INSERT ON change BEGIN SELECT RAISE(ABORT, 'no'); END")
    dataset = make_dataset()
    with pytest.raises(apsw.ConstraintError):
        tight.send(dataset)
    with tight.index.write() as tx:
        tx.execute("DROP TRIGGER no")
    assert tight.send(dataset) is IngestResult.STORED
    assert len(tight.files()) == 2
    tight.store.keeps_files = False
    assert tight.ingest.recover() == (0, 0)
    assert len(tight.files()) == 1


def test_versions_of_one_sop_instance_count_once_wherever_they_are_counted(parts: Parts) -> None:
    """A router that encodes anew must not make a study of 1 look like one of 2 (PS3.4 C.3.4)."""
    one = make_dataset(PatientComments="first")
    parts.bring(part10_bytes(one))
    one.PatientComments = "second"
    assert parts.bring(part10_bytes(one)) is IngestResult.CONFLICT
    for table in ("series", "study", "patient", "total", "modality_use"):
        assert parts.rows(f"SELECT instances FROM {table}") == [(1,)]  # noqa: S608
    assert parts.rows("SELECT count(*) FROM instance") == [(2,)]
