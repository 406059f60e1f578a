"""Fill an index with synthetic rows: 1,000,000 instances by default. No files, no PHI.

    python benchmarks/fill_index.py FOLDER [--instances 1000000] [--per-study 10]

The rows go in through the same code that a C-STORE uses, many to a transaction. FOLDER then holds
an ``index.sqlite`` that `benchmarks/index.py` measures. An archive in FOLDER is never overwritten.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.blob import StoredBlob
from tuipacs.index import ingest
from tuipacs.index.database import Index
from tuipacs.index.ingest import Arrival
from tuipacs.index.migrations import migrate

FAMILY = [
    "SMITH",
    "DOE",
    "MÜLLER",
    "YAMADA",
    "GARCÍA",
    "NGUYEN",
    "KIM",
    "OKAFOR",
    "ROSSI",
    "LARSEN",
]
GIVEN = ["ANNA", "JOHN", "TARO", "MARIA", "LI", "HANS", "EVA", "OMAR", "INES", "PETER"]
DESCRIPTIONS = {
    "CT": ["CHEST W/O", "ABDOMEN PELVIS", "HEAD", "ANGIO AORTA"],
    "MR": ["BRAIN", "KNEE L", "L-SPINE", "PROSTATE"],
    "CR": ["CHEST PA/LAT", "HAND R", "PELVIS"],
    "US": ["ABDOMEN", "THYROID", "ECHO"],
}
CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
}
BATCH = 2000
START = 1_700_000_000.0


def arrivals(instances: int, per_study: int, seed: int = 1) -> Iterator[Arrival]:
    """Synthetic objects in the order in which modalities would send them."""
    rng = random.Random(seed)
    patients = max(1, instances // per_study // 2)
    number = study_number = 0
    while number < instances:
        study_number += 1
        person = rng.randrange(patients)
        modality = rng.choice(list(CLASSES))
        patient = PatientAttributes(
            patient_id=f"P{person:07d}",
            patient_name=f"{FAMILY[person % 10]}{person // 100}^{GIVEN[person // 10 % 10]}",
            patient_birth_date=f"{1930 + person % 80}{1 + person % 12:02d}{1 + person % 28:02d}",
            patient_sex="FM"[person % 2],
        )
        study = StudyAttributes(
            study_instance_uid=f"1.2.826.0.1.3680043.10.1.{study_number}",
            study_date=f"{2015 + study_number % 12}{1 + study_number % 12:02d}"
            f"{1 + study_number % 28:02d}",
            study_time=f"{study_number % 24:02d}{study_number % 60:02d}00",
            accession_number=f"A{study_number:08d}",
            study_id=str(study_number),
            study_description=f"{modality} {rng.choice(DESCRIPTIONS[modality])}",
            referring_physician_name=f"REF{study_number % 500}^DOC",
        )
        count = min(per_study, instances - number)
        for k in range(count):
            number += 1
            series = SeriesAttributes(
                series_instance_uid=f"1.2.826.0.1.3680043.10.2.{study_number}.{k // 250}",
                modality=modality,
                series_number=str(1 + k // 250),
                series_description="AX 1.0",
            )
            uid = f"1.2.826.0.1.3680043.10.3.{number}"
            digest = hashlib.sha256(uid.encode()).digest()
            yield Arrival(
                IndexedAttributes(
                    patient=patient,
                    study=study,
                    series=series,
                    instance=InstanceAttributes(
                        sop_instance_uid=uid,
                        sop_class_uid=CLASSES[modality],
                        transfer_syntax_uid="1.2.840.10008.1.2.1",
                        instance_number=str(k + 1),
                        rows=512,
                        columns=512,
                        bits_allocated=16,
                        photometric_interpretation="MONOCHROME2",
                    ),
                ),
                StoredBlob(
                    key=f"{number // 4096:06x}/{number:032x}",
                    header_size=352,
                    header_sha256=digest,
                    dataset_size=526_000,
                    dataset_sha256=digest,
                ),
                "CT1",
                START + number * 0.5,
            )


def fill(index: Index, instances: int, per_study: int) -> None:
    """Insert the rows, a few thousand to a transaction, and gather SQLite's statistics."""
    source = arrivals(instances, per_study)
    done, began = 0, time.perf_counter()
    while done < instances:
        with index.write() as tx:
            for _ in range(min(BATCH, instances - done)):
                ingest.add(tx, next(source))
                done += 1
        if done % 100_000 < BATCH:
            rate = done / (time.perf_counter() - began)
            print(f"{done:>9,} instances, {rate:,.0f} a second", file=sys.stderr)
    with index.write() as tx:
        tx.execute("ANALYZE")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--per-study", type=int, default=10)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "index.sqlite"
    if path.exists():
        print(f"{path} exists already", file=sys.stderr)
        return 1
    index = Index(path)
    migrate(index)
    fill(index, options.instances, options.per_study)
    index.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
