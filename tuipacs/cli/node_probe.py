"""``tuipacs node echo`` and ``tuipacs node test``: does it answer, and if not, where it breaks."""

from __future__ import annotations

import typer

from tuipacs.cli.node_choice import NodeArgument
from tuipacs.cli.output import print_json, print_lines
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.node_health import RungResult, Verdict
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op

FAILED = 1
_SIGNS = {
    Verdict.PASSED: "ok",
    Verdict.FAILED: "BROKEN",
    Verdict.SKIPPED: "skipped",
    Verdict.NOT_TRIED: "not tried",
}
_INDENT = " " * 24


def echo(ctx: typer.Context, node: NodeArgument, as_json: JsonOption = False) -> None:
    """Ask a node for one C-ECHO, and tell how long it took. Exit code 1 if it does not answer."""
    with connected(ctx) as connection:
        report = connection.call(op.NODE_ECHO, n.NodeTestRequest(ae_title=node))
    (result,) = report.rungs
    if as_json:
        print_json(result)
    else:
        where = f"{report.ae_title} at {report.endpoint}"
        print_lines([f"{where}: {result.words} in {milliseconds(result.seconds)}"])
        if result.remedy:
            print_lines([f"  {result.remedy}"])
    if result.is_broken:
        raise typer.Exit(FAILED)


def test(ctx: typer.Context, node: NodeArgument, as_json: JsonOption = False) -> None:
    """Find out where the way to a node breaks: TCP, TLS, association, C-ECHO, C-FIND.

    Nothing is sent or stored, and the query is for a study that nobody has. Exit code 1 if a rung
    is broken.
    """
    with connected(ctx) as connection:
        report = connection.call(op.NODE_TEST, n.NodeTestRequest(ae_title=node))
    rungs = report.rungs
    if as_json:
        print_json(rungs)
    else:
        print_lines([f"{report.ae_title} at {report.endpoint}"])
        for rung in rungs:
            print_lines(rung_lines(rung))
    if any(rung.is_broken for rung in rungs):
        raise typer.Exit(FAILED)


def rung_lines(rung: RungResult) -> list[str]:
    """What was seen, what helps, and the notes."""
    tried = rung.verdict in (Verdict.PASSED, Verdict.FAILED)
    words = f"{rung.words} ({milliseconds(rung.seconds)})" if tried else rung.words
    if rung.verdict is Verdict.NOT_TRIED:
        words = ""
    first = f"  {rung.rung:<12}{_SIGNS[rung.verdict]:<10}{words}".rstrip()
    return [first, *(_INDENT + text for text in (rung.remedy, *rung.notes) if text)]


def milliseconds(seconds: float) -> str:
    """``12 ms``, and from ten seconds on ``12 s``."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds * 1000:.0f} ms"
