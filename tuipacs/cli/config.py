"""``tuipacs config``: the daemon's settings, found, explained and checked."""

from __future__ import annotations

import dataclasses

import typer

from tuipacs.cli.output import print_json, print_lines, print_table
from tuipacs.cli.state import JsonOption, state_of

app = typer.Typer(help="Settings: show, validate, locate.", no_args_is_help=True)


@app.command("show")
def show(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Every setting, its value, and where the value comes from."""
    from tuipacs.config import describe, load_config

    rows = describe(load_config(state_of(ctx).archive.config))
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    print_table(("SETTING", "VALUE", "FROM"), ((row.name, row.value, row.origin) for row in rows))


@app.command("validate")
def validate(ctx: typer.Context) -> None:
    """Check archive.toml; each mistake is told with its line."""
    from tuipacs.config import load_config

    path = state_of(ctx).archive.config
    load_config(path)
    print_lines([f"{path}: valid"])


@app.command("locate")
def locate(ctx: typer.Context) -> None:
    """Print where archive.toml is, or would be."""
    print_lines([str(state_of(ctx).archive.config)])
