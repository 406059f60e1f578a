"""The change feed, read as "which rows were touched since"."""

from __future__ import annotations

from tuipacs.index import browse, rows
from tuipacs.index.database import Reader
from tuipacs.schema.messages import Changes


def last_seq(reader: Reader) -> int:
    """The newest number of the change feed; 0 for an empty archive."""
    return int(reader.scalar("SELECT max(seq) FROM change") or 0)


def since(reader: Reader, after_seq: int, limit: int) -> Changes:
    """Rows touched by the next ``limit`` changes after ``after_seq``, as they are now."""
    found = reader.all(
        "SELECT seq, patient, study, series FROM change WHERE seq > ? ORDER BY seq LIMIT ?",
        (after_seq, limit),
    )
    newest = last_seq(reader)
    as_of = found[-1][0] if found else newest  # less than asked for: the index was made anew
    return Changes(
        as_of_seq=as_of,
        more=as_of < newest,
        patients=rows.patients(reader, list(dict.fromkeys(row[1] for row in found))),
        studies=rows.studies(reader, list(dict.fromkeys(row[2] for row in found))),
        series_keys=tuple(dict.fromkeys(row[3] for row in found if row[3])),
        totals=browse.totals(reader),
    )
