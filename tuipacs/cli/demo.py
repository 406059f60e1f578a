"""``tuipacs demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.state import state_of
from tuipacs.paths import ArchivePaths


def demo(
    ctx: typer.Context,
    headless: Annotated[
        bool, typer.Option("--headless", help="No screens: serve, and print how to reach it")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="DICOM port; a free one if it is taken", metavar="N"),
    ] = None,
) -> None:
    """Open a throw-away archive with studies in it and a modality that keeps sending."""
    from tuipacs.demo.demo import run_demo

    graphics = state_of(ctx).graphics

    def show(archive: ArchivePaths) -> int:
        from tuipacs.ui.app import run

        return run(archive, graphics=graphics, is_demo=True)

    raise typer.Exit(run_demo(port, headless, show))
