"""``tuipacs export``: the stored bytes, unchanged, as numbered Part 10 files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tuipacs.cli.output import note, print_json, print_lines, size
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.errors import ConflictError, TuipacsError, UnavailableError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op


@dataclass(frozen=True)
class Target:
    """One object and the file that it becomes, named by its place alone."""

    entry: m.ExportEntry
    path: Path


def export(
    ctx: typer.Context,
    uids: Annotated[
        list[str], typer.Argument(metavar="UID", help="Study, series or SOP instance UIDs")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder; made if needed")],
    as_json: JsonOption = False,
) -> None:
    """Write objects to DIR/ST000001/SE000001/IM000001.dcm and so on, byte for byte.

    Nothing is overwritten: a file that is there already ends the export before it begins.
    """
    with connected(ctx) as connection:
        plan = connection.call(op.EXPORT_PLAN, m.ExportRequest(uids=tuple(uids)))
        targets = list(layout(plan.entries, to))
        for target in targets:
            if os.path.lexists(target.path):
                raise ConflictError(
                    f"{target.path} is there already", remedy="choose an empty folder"
                )
        done: list[Target] = []
        try:
            for target in targets:
                _fetch(connection, target)
                done.append(target)
                _progress(len(done), len(targets))
        except (TuipacsError, OSError) as error:
            note(f"{len(done):,} of {len(targets):,} objects were exported before this:")
            if isinstance(error, OSError):
                raise _cannot_write(error) from error
            raise
    _tell(done, as_json)


def layout(entries: Sequence[m.ExportEntry], root: Path) -> Iterator[Target]:
    """Number studies, series of a study and objects of a series from 1, in the plan's order."""
    studies: dict[int, int] = {}
    series: dict[int, dict[int, int]] = {}
    counts: dict[tuple[int, int], int] = {}
    for entry in entries:
        study = studies.setdefault(entry.study_key, len(studies) + 1)
        in_study = series.setdefault(study, {})
        number = in_study.setdefault(entry.series_key, len(in_study) + 1)
        image = counts[study, number] = counts.get((study, number), 0) + 1
        yield Target(entry, root / f"ST{study:06}" / f"SE{number:06}" / f"IM{image:06}.dcm")


def _fetch(connection: Connection, target: Target) -> None:
    """Write one object beside its place, check its length, then give it its name."""
    target.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.path.with_name(target.path.name + ".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, 0o600)
    try:
        written = 0
        with os.fdopen(descriptor, "wb") as file:
            for chunk in connection.download(target.entry.key):
                file.write(chunk)
                written += len(chunk)
        if written != target.entry.size_bytes:
            raise UnavailableError(
                f"an object came with {written} bytes instead of {target.entry.size_bytes}",
                remedy="try again; if it comes again, look at: tuipacs doctor",
            )
        if os.path.lexists(target.path):
            raise ConflictError(f"{target.path} is there already")
        part.rename(target.path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _cannot_write(error: OSError) -> TuipacsError:
    if isinstance(error, FileExistsError):
        return ConflictError(
            f"{error.filename} is there already", remedy="remove it, or choose another folder"
        )
    return TuipacsError(f"{error.filename or 'the folder'} cannot be written: {error.strerror}")


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{done:,} of {total:,} exported\x1b[K{end}")
        sys.stderr.flush()


def _tell(done: Sequence[Target], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "path": str(target.path),
                    "SOPInstanceUID": target.entry.sop_instance_uid,
                    "size_bytes": target.entry.size_bytes,
                }
                for target in done
            ]
        )
        return
    print_lines(str(target.path) for target in done)
    total = sum(target.entry.size_bytes for target in done)
    note(f"{len(done):,} {'object' if len(done) == 1 else 'objects'}, {size(total)}")
