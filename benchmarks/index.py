"""How long the index takes at size: pages, filters, positions, an update; with the query plans.

    python benchmarks/fill_index.py FOLDER
    python benchmarks/index.py FOLDER [--plans]

Each figure is the median (and the slowest) of 9 runs through the services, audit record included.
The index is changed by the update it measures: use a copy if it matters.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fill_index import arrivals
from msgspec.structs import replace as restruct

from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.level import Level
from tuipacs.domain.permissions import MATRIX, Role
from tuipacs.domain.query import SortKey
from tuipacs.index import ingest
from tuipacs.index.database import Index
from tuipacs.schema.messages import ChildrenRequest, FindRequest, PageRequest, PositionRequest
from tuipacs.services.browse import Browse

RUNS = 9
FILTERS = ("doe", "chest", "mod:CT chest", "date:-7d", "id:P0001234", "ct !head yamada", "zzz")
PLANS = {
    "first page of patients": "SELECT id FROM patient ORDER BY received_at DESC, id DESC LIMIT 60",
    "page at 40,000": "SELECT id FROM study ORDER BY sort_name, id LIMIT 60 OFFSET 40000",
    "filter": "SELECT id, count(*) OVER () FROM (SELECT patient AS id, max(received_at) AS k"
    " FROM study_search WHERE instr(words, 'doe') GROUP BY patient)"
    " ORDER BY k DESC, id DESC LIMIT 60",
    "children": "SELECT id FROM instance WHERE series = 7 ORDER BY sort_number, id LIMIT 200",
    "known object": "SELECT dataset_sha256 FROM instance WHERE sop_instance_uid = '1.2.3'",
    "changes": "SELECT seq, patient, study, series FROM change WHERE seq > 900000 LIMIT 500",
}


def measure(name: str, act: Callable[[], object]) -> None:
    """Print the median and the slowest of some runs, after one to warm up."""
    act()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    print(f"{name:<52} {statistics.median(times):8.2f} ms {max(times):8.2f} ms")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plans", action="store_true", help="print SQLite's query plans too")
    options = parser.parse_args()
    index = Index(options.folder / "index.sqlite")
    browse = Browse(index, time.time)
    actor = Actor(
        kind=ActorKind.USER, name="bench", role=Role.ADMIN, permissions=MATRIX[Role.ADMIN]
    )
    with index.read() as reader:
        count = reader.scalar("SELECT instances FROM total")
        studies = reader.scalar("SELECT studies FROM total")
    print(f"{count:,} instances in {studies:,} studies{'':>16}   median     slowest")

    measure("patients, first page", lambda: browse.patients(actor, PageRequest(limit=60)))
    measure("studies, first page", lambda: browse.studies(actor, PageRequest(limit=60)))
    for sort in SortKey:
        page = PageRequest(limit=60, offset=studies * 9 // 10, sort=sort)
        measure(f"studies by {sort}, page at 90 %", lambda page=page: browse.studies(actor, page))
    for text in FILTERS:
        page = PageRequest(limit=60, filter=text)
        measure(f"patients, filter {text!r}", lambda page=page: browse.patients(actor, page))
        measure(f"studies, filter {text!r}", lambda page=page: browse.studies(actor, page))
    by_name = PageRequest(limit=60, filter="chest", sort=SortKey.NAME, descending=False)
    measure("patients by name, filter 'chest'", lambda: browse.patients(actor, by_name))
    for text in ("", "doe"):
        where = PositionRequest(level=Level.STUDY, key=11, filter=text)
        measure(f"position of a study, filter {text!r}", lambda w=where: browse.position(actor, w))
    child = ChildrenRequest(key=1)
    measure("studies of a patient", lambda: browse.studies_of(actor, child))
    measure("series of a study", lambda: browse.series_of(actor, child))
    measure("instances of a series", lambda: browse.instances_of(actor, child))
    find = FindRequest(filter="id:P0001234", level=Level.INSTANCE)
    measure("find instances of one patient", lambda: browse.find(actor, find))

    newcomers = arrivals(2 * RUNS + 2, 1, seed=int(time.time()))

    def update() -> None:
        with index.write() as tx:
            ingest.add(tx, _renamed(next(newcomers), str(time.time_ns())))

    measure("update: one new object, committed", update)
    if options.plans:
        with index.read() as reader:
            for name, sql in PLANS.items():
                print(f"\n-- {name}\n{sql}")
                for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}"):
                    print(f"   {row[3]}")
    index.close()
    return 0


def _renamed(arrival: ingest.Arrival, unique: str) -> ingest.Arrival:
    """The same object under a UID and a file of its own."""
    instance = restruct(arrival.attributes.instance, sop_instance_uid=f"2.25.{unique}")
    blob = restruct(arrival.blob, key=f"ffffff/{unique:>032}")
    return replace(arrival, attributes=restruct(arrival.attributes, instance=instance), blob=blob)


if __name__ == "__main__":
    sys.exit(main())
