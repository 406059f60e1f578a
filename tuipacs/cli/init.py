"""``tuipacs init``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

import typer

from tuipacs.cli.output import print_lines
from tuipacs.cli.session import read_password
from tuipacs.cli.state import PasswordStdinOption, state_of
from tuipacs.errors import ConfigError, UsageError

_LINE = re.compile(r"^.*?: line \d+: ", re.MULTILINE)


def init(
    ctx: typer.Context,
    admin: Annotated[str, typer.Option(metavar="NAME", help="The first administrator")],
    password_stdin: PasswordStdinOption = False,
    ae_title: Annotated[
        str | None, typer.Option(metavar="T", help="This archive's AE title [TUIPACS]")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="DICOM port [11112]")] = None,
    unknown_callers: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="What unknown AEs may do: echo, store, refuse [echo]"),
    ] = None,
) -> None:
    """Make an archive and its first administrator."""
    from tuipacs.bootstrap import create_archive
    from tuipacs.config import Config, parse_config, render

    archive = state_of(ctx).archive
    defaults = Config()
    dicom = replace(
        defaults.dicom,
        ae_title=defaults.dicom.ae_title if ae_title is None else ae_title,
        port=defaults.dicom.port if port is None else port,
        unknown_callers=unknown_callers or defaults.dicom.unknown_callers,
    )
    config = replace(defaults, dicom=dicom)
    try:  # what the file would be refused for is refused here, in the same words
        config = parse_config(render(config))
    except ConfigError as error:
        raise UsageError(
            _LINE.sub("", error.message),
            remedy="give another --ae-title, --port or --unknown-callers",
        ) from None
    password = read_password(from_stdin=password_stdin, repeat=True)
    create_archive(archive, config, admin, password)
    print_lines(
        [
            f"archive made in {archive.root}",
            f"AE title {dicom.ae_title}, port {dicom.port}, unknown callers: "
            f"{dicom.unknown_callers}",
            state_of(ctx).typed("start it with: tuipacs serve"),
        ]
    )
