"""What rules ask of studies, read from the index; and which objects are to be sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from tuipacs.domain.route_match import SeriesFacts, StudyFacts
from tuipacs.index.database import Reader, Row
from tuipacs.index.flags import flags_of

_STUDY = (
    "SELECT st.id, p.patient_id, p.issuer_of_patient_id, st.study_description,"
    " st.accession_number, st.referring_physician_name, st.study_date, st.received_at, st.flags,"
    " st.calling_ae_title, st.sop_classes, st.study_instance_uid"
    " FROM study st JOIN patient p ON p.id = st.patient"
)
_SERIES = (
    "SELECT study, id, modality, series_description, body_part_examined, institution_name,"
    " station_name, instances FROM series"
)


def study_keys(reader: Reader, study_instance_uid: str) -> list[int]:
    """The studies of that UID: more than one if it came with different patients."""
    rows = reader.all("SELECT id FROM study WHERE study_instance_uid = ?", (study_instance_uid,))
    return [row[0] for row in rows]


def facts(reader: Reader, study: int) -> StudyFacts | None:
    """All that rules ask of one study, object by object; None if there is no such study."""
    row = reader.one(f"{_STUDY} WHERE st.id = ?", (study,))
    if row is None:
        return None
    senders: defaultdict[int, set[str]] = defaultdict(set)
    classes: defaultdict[int, set[str]] = defaultdict(set)
    counts: defaultdict[int, int] = defaultdict(int)
    for series, sender, sop_class, count in reader.execute(
        "SELECT series, calling_ae_title, sop_class_uid, count(*) FROM instance"
        " WHERE series IN (SELECT id FROM series WHERE study = ?) AND version = 1"
        " GROUP BY series, calling_ae_title, sop_class_uid",
        (study,),
    ):
        senders[series].add(sender)
        classes[series].add(sop_class)
        counts[series] += count
    series_rows = reader.all(f"{_SERIES} WHERE study = ? ORDER BY sort_number, id", (study,))
    return _study(
        row,
        [
            _series(each, counts[each[1]], frozenset(senders[each[1]]), frozenset(classes[each[1]]))
            for each in series_rows
            if counts[each[1]]  # a series of other versions only has not arrived
        ],
    )


def recent_facts(reader: Reader, since: float, limit: int) -> tuple[list[StudyFacts], int]:
    """Facts of the newest studies, and how many came since then.

    From counters alone, for a look at thousands: the sender is that of a study's newest object,
    the SOP classes are the study's, and versions count.
    """
    total = reader.scalar("SELECT count(*) FROM study WHERE received_at >= ?", (since,))
    studies = reader.all(
        f"{_STUDY} WHERE st.id IN (SELECT id FROM study WHERE received_at >= ?"
        " ORDER BY received_at DESC, id DESC LIMIT ?) ORDER BY st.received_at DESC, st.id DESC",
        (since, limit),
    )
    series: defaultdict[int, list[Row]] = defaultdict(list)
    for row in reader.execute(
        f"{_SERIES} WHERE study IN (SELECT id FROM study WHERE received_at >= ?"
        " ORDER BY received_at DESC, id DESC LIMIT ?)",
        (since, limit),
    ):
        series[row[0]].append(row)
    found = []
    for row in studies:
        senders, classes = frozenset((row[9],)), frozenset(row[10].split("\\"))
        of_study = [_series(each, each[7], senders, classes) for each in series[row[0]]]
        found.append(_study(row, of_study))
    return found, int(total)


def _study(row: Row, series: Sequence[SeriesFacts]) -> StudyFacts:
    return StudyFacts(
        key=row[0],
        study_instance_uid=row[11],
        patient_id=row[1],
        issuer=row[2],
        description=row[3],
        accession_number=row[4],
        referring_physician=row[5],
        study_date=row[6],
        received_at=row[7],
        flags=tuple(flag.value for flag in flags_of(row[8])),
        series=tuple(series),
    )


def _series(
    row: Row, instances: int, senders: frozenset[str], sop_classes: frozenset[str]
) -> SeriesFacts:
    return SeriesFacts(
        key=row[1],
        modality=row[2],
        description=row[3],
        body_part=row[4],
        institution=row[5],
        station=row[6],
        instances=instances,
        senders=senders,
        sop_classes=sop_classes,
    )


def to_send(
    reader: Reader, series: Sequence[int], node: int, but_from: Collection[str]
) -> tuple[list[int], dict[int, int], int]:
    """What was not routed to a node yet, series by series in the order of their numbers.

    Returns (instances to send, the newest instance of each series that has new ones, how many new
    ones stay because they came from ``but_from``: calling AE titles).
    """
    wanted: list[int] = []
    newest: dict[int, int] = {}
    kept_back = 0
    for key in series:
        mark = reader.scalar(
            "SELECT instance FROM route_mark WHERE series = ? AND node = ?", (key, node)
        )
        for instance, sender in reader.execute(
            "SELECT id, calling_ae_title FROM instance WHERE series = ? AND version = 1 AND id > ?"
            " ORDER BY sort_number, id",
            (key, mark or 0),
        ):
            newest[key] = max(instance, newest.get(key, 0))
            if sender in but_from:
                kept_back += 1
            else:
                wanted.append(instance)
    return wanted, newest, kept_back
