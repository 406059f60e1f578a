"""``tuipacs conformance``: the DICOM conformance statement of an archive."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuipacs.cli.state import state_of
from tuipacs.errors import StorageFailedError

if TYPE_CHECKING:
    from tuipacs.config import Config


def conformance(
    ctx: typer.Context,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Of the default settings, with or without an archive")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there instead of printing it")
    ] = None,
) -> None:
    """Print the DICOM conformance statement (PS3.2) of this archive, in Markdown."""
    from tuipacs.config import Config, load_config

    config = Config() if defaults else load_config(state_of(ctx).archive.config)
    text = statement_of(config)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageFailedError(f"{output}: cannot be written: {error.strerror}") from None


def statement_of(config: Config) -> str:
    """Ask the services of an archive with these settings, made for this and never started."""
    from tuipacs import __version__
    from tuipacs.bootstrap import Archive
    from tuipacs.config import TlsSettings
    from tuipacs.conformance.facts import Facts
    from tuipacs.conformance.statement import conformance_statement
    from tuipacs.paths import ArchivePaths

    with tempfile.TemporaryDirectory(prefix="tuipacs-") as folder:
        paths = ArchivePaths(Path(folder))
        archive = Archive(paths, dataclasses.replace(config, tls=TlsSettings()))
        try:
            return conformance_statement(Facts(__version__, config, archive.providers))
        finally:
            archive.close()
