"""C-FIND, side by side with Orthanc; DCMTK's findscu asks.

    python benchmarks/find.py [--studies 20000] [--repeats 3] [--index FOLDER] [--json]

Both archives are filled by C-STORE with the same tiny objects, one a study; then a Study Root query
at STUDY level asks for all of them with eight usual keys, and one hundred queries over one
association ask for a patient ID, an accession number, a name or a day each. The time is that of
the whole findscu process, which drops its answers; another one has counted them before. With
``--index``, a folder that `benchmarks/fill_index.py` has filled, the selective queries also go to a
daemon with that index: by each information model, and across levels (relational queries).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import rig
from fill_index import arrivals
from find_relational import ask_across_levels
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from receive import send
from servers import Server, environment, missing, orthanc
from table import DCMTK, ORTHANC, OURS, Goal, Measure, show

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.index import nodes
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate

KEYS = (
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
)
SELECTIVE = ("PatientID", "AccessionNumber", "PatientName", "StudyDate")
QUERIES = 100  # over one association
LONGEST = 600  # seconds for one findscu
_SUCCESS = "\nI: Received Final Find Response (Success)"
_PENDING = "\nI: Find Response: "


def write_studies(folder: Path, count: int) -> list[Dataset]:
    """One tiny object a study, a few bytes of pixels, from `fill_index`; returns them."""
    folder.mkdir()
    template = rig.ct_dataset(2)
    written = []
    for number, arrival in enumerate(arrivals(count, 1)):
        of = arrival.attributes
        one = Dataset(template)
        one.file_meta = rig.file_meta()
        one.SpecificCharacterSet = "ISO_IR 192"
        one.PatientName, one.PatientID = of.patient.patient_name, of.patient.patient_id
        one.PatientBirthDate, one.PatientSex = of.patient.patient_birth_date, of.patient.patient_sex
        one.StudyInstanceUID = of.study.study_instance_uid
        one.StudyDate, one.StudyTime = of.study.study_date, of.study.study_time
        one.AccessionNumber, one.StudyID = of.study.accession_number, of.study.study_id
        one.StudyDescription = of.study.study_description
        one.ReferringPhysicianName = of.study.referring_physician_name
        one.SeriesInstanceUID = of.series.series_instance_uid
        one.SOPInstanceUID = of.instance.sop_instance_uid
        dcmwrite(folder / f"{number:06d}.dcm", one, enforce_file_format=True)
        written.append(one)
    return written


PATIENT_KEYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "NumberOfPatientRelatedStudies",
    "NumberOfPatientRelatedInstances",
)
SELECTIVE_PATIENT = ("PatientID", "PatientName")


def write_query(path: Path, **keys: str) -> None:
    """An identifier for studies as a file for findscu."""
    write_identifier(path, "STUDY", KEYS, keys)


def write_identifier(
    path: Path, level: str, keywords: Sequence[str], keys: Mapping[str, str]
) -> None:
    """An identifier that asks for all of ``keywords``, some of them with a value."""
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(asked, keyword, keys.get(keyword) or None)
    asked.save_as(path, implicit_vr=False, little_endian=True)


def write_queries(
    folder: Path,
    studies: Sequence[Dataset],
    selective: Sequence[str] = SELECTIVE,
    level: str = "STUDY",
    keywords: Sequence[str] = KEYS,
) -> list[Path]:
    """`QUERIES` files, each of which asks for one of the studies by one of ``selective``."""
    folder.mkdir()
    rng = random.Random(7)
    paths = []
    for number in range(QUERIES):
        keyword = selective[number % len(selective)]
        paths.append(folder / f"{number:03d}")
        value = str(rng.choice(studies)[keyword].value)
        write_identifier(paths[-1], level, keywords, {keyword: value})
    return paths


def ask(
    server: Server, queries: Sequence[Path], *options: str, model: str = "-S"
) -> tuple[float, str]:
    """Seconds of one findscu, and what it said."""
    words = ["findscu", model, *options, "-aec", server.ae_title, "127.0.0.1", str(server.port)]
    began = time.perf_counter()
    done = subprocess.run(
        [*words, *map(str, queries)],
        env=environment(nagle=False),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONGEST,
        check=False,
    )
    taken = time.perf_counter() - began
    said = done.stdout.decode(errors="replace")
    if done.returncode or "E: " in said:
        raise SystemExit(f"findscu to {server.ae_title} failed: {said[-500:]}")
    return taken, said


def answers(server: Server, queries: Sequence[Path], model: str = "-S") -> int:
    """How many answers there are to all queries together; each of them must end with Success."""
    _, said = ask(server, queries, "-v", model=model)
    if said.count(_SUCCESS) != len(queries):
        raise SystemExit(f"findscu to {server.ae_title} failed: {said[-500:]}")
    return said.count(_PENDING)


_ASKER = NodeRecord(
    key=0,
    ae_title="FINDSCU",
    address="",
    services=(NodeService.ECHO, NodeService.QUERY),
    description="",
    created_at=0.0,
)


@contextlib.contextmanager
def ours(folder: Path, filled: Path | None = None) -> Iterator[Server]:
    """Our daemon, with findscu as a node that may query; on a copy of a ``filled`` index."""
    paths = rig.make_archive(folder / "a")
    if filled is not None:
        shutil.copyfile(filled, paths.index)
    index = Index(paths.index)
    migrate(index)
    with index.write() as tx:
        nodes.add_node(tx, _ASKER)
    index.close()
    with rig.running_daemon(paths) as daemon:
        yield Server(daemon.process, daemon.health.port, "TUIPACS", lambda: 0)


@contextlib.contextmanager
def theirs(folder: Path) -> Iterator[Server]:
    """Orthanc, open to queries."""
    with orthanc(folder, False, {"DicomAlwaysAllowFind": True}) as server:
        yield server


def run(scratch: Path, studies: int, repeats: int) -> list[Measure]:
    """Both archives with the same content, taking turns."""
    source = scratch / "studies"
    selective = write_queries(scratch / "queries", write_studies(source, studies))
    everything = [scratch / "all"]
    write_query(everything[0])
    whole = Measure(f"C-FIND of all of {studies:,} studies", "answers/s", [Goal(ORTHANC)])
    work = Measure("the same, a second of the archive's processor", "answers/s", [Goal(ORTHANC)])
    few = Measure(f"selective C-FIND in {studies:,} studies", "queries/s", [Goal(ORTHANC)])
    counts = set()
    with contextlib.ExitStack() as stack:
        servers = {}
        for program, start in ((OURS, ours), (ORTHANC, theirs)):
            if program not in missing():
                folder = scratch / program
                folder.mkdir()
                servers[program] = stack.enter_context(start(folder))
                send(servers[program], [source], nagle=False)
        for program, server in servers.items():
            if (found := answers(server, everything)) != studies:
                raise SystemExit(f"{program} found {found:,} of {studies:,} studies")
            counts.add(answers(server, selective))
        for _ in range(repeats):
            for program, server in servers.items():
                spent = measured(whole, program, server, everything, studies)
                work.add(program, studies / spent)
                measured(few, program, server, selective, QUERIES)
    if len(counts) != 1:
        raise SystemExit(f"the archives do not agree how many match: {sorted(counts)}")
    few.note = f"{counts.pop():,} answers to {QUERIES} queries, over one association"
    shutil.rmtree(source)
    return [whole, work, few]


def measured(
    measure: Measure, program: str, server: Server, queries: Sequence[Path], count: int
) -> float:
    """Take one run down as ``count`` a second; returns the server's processor seconds."""
    pid = server.process.pid
    rig.forget_peak(pid)
    before = rig.cpu_seconds(pid)
    seconds, _ = ask(server, queries)
    spent = rig.cpu_seconds(pid) - before
    measure.add(
        program,
        count / seconds,
        seconds=round(seconds, 2),
        cpu_s=round(spent, 2),
        peak_mb=round(rig.peak_mb(pid)),
    )
    return spent


def big(scratch: Path, filled: Path, repeats: int) -> list[Measure]:
    """Selective queries in a daemon with an index of `fill_index`: milliseconds each."""
    index = Index(filled)
    with index.read() as reader:
        instances, studies = reader.one("SELECT instances, studies FROM total") or (0, 0)
    index.close()
    some = _some(studies, instances)
    size = f"in {instances:,} instances of {studies:,} studies"
    of_studies = write_queries(scratch / "queries", some)
    of_patients = write_queries(
        scratch / "patients", some, SELECTIVE_PATIENT, "PATIENT", PATIENT_KEYS
    )
    folder = scratch / "big"
    folder.mkdir()
    results = []
    with ours(folder, filled) as server:
        for name, model, queries in (
            ("Study Root", "-S", of_studies),
            ("Patient Root", "-P", of_patients),
            ("Patient/Study Only", "-O", of_patients),
        ):
            result = Measure(f"selective C-FIND, {name}, {size}", "ms", [Goal(below=20)])
            found = answers(server, queries, model)
            result.note = f"the daemon's processor time; {found:,} answers to {QUERIES} queries"
            for _ in range(repeats):
                before = rig.cpu_seconds(server.process.pid)
                seconds, _ = ask(server, queries, model=model)
                spent = rig.cpu_seconds(server.process.pid) - before
                result.add(
                    OURS, 1000 * spent / QUERIES, with_findscu_ms=round(1000 * seconds / QUERIES, 2)
                )
            results.append(result)
        results.append(_relational(server, some, size, repeats))
    shutil.rmtree(folder)
    return results


def _relational(server: Server, some: Sequence[Dataset], size: str, repeats: int) -> Measure:
    """The images of a patient, the study of an image, and so on, at levels in turn."""
    result = Measure(f"selective C-FIND across levels {size}", "ms", [Goal(below=20)])
    found = 0
    for _ in range(repeats):
        before = rig.cpu_seconds(server.process.pid)
        found = ask_across_levels(server.port, _ASKER.ae_title, some, QUERIES)
        spent = rig.cpu_seconds(server.process.pid) - before
        result.add(OURS, 1000 * spent / QUERIES)
    result.note = f"the daemon's processor time; {found:,} answers to {QUERIES} queries"
    return result


def _some(studies: int, instances: int) -> list[Dataset]:
    """A thousand of the studies that `fill_index` made."""
    per_study = max(1, instances // max(1, studies))
    found = {}
    for arrival in arrivals(min(instances, 1000 * per_study), per_study):
        of = arrival.attributes
        one = found.setdefault(of.study.study_instance_uid, Dataset())
        one.PatientName, one.PatientID = of.patient.patient_name, of.patient.patient_id
        one.StudyDate, one.AccessionNumber = of.study.study_date, of.study.accession_number
        one.StudyInstanceUID = of.study.study_instance_uid
        one.SOPInstanceUID = of.instance.sop_instance_uid
    return list(found.values())


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--index", type=Path, default=None, help="a folder of fill_index.py")
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rig.tell_machine()
    not_run = [f"{name}: not installed" for name in missing() if name != DCMTK]
    if shutil.which("findscu") is None:
        print("DCMTK's findscu is not installed: nothing can be measured", file=sys.stderr)
        return 1
    with rig.scratch(options.folder) as scratch:
        results = run(scratch, options.studies, options.repeats) if options.studies else []
    if options.index is None:
        not_run.append("1,000,000 instances: fill an index with fill_index.py, then --index FOLDER")
    else:
        with rig.scratch(options.folder) as scratch:
            results += big(scratch, options.index / "index.sqlite", options.repeats)
    show(results, not_run, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
