"""``tuipacs doctor``: is everything here that the archive needs?"""

from __future__ import annotations

import typer
from msgspec.structs import replace

from tuipacs.cli.checks import run_checks
from tuipacs.cli.output import print_json, print_lines
from tuipacs.cli.state import JsonOption, state_of
from tuipacs.domain.verdict import Verdict


def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check the installation, the archive's folder, its daemon and the terminal.

    Exit code 1 if a check fails; warnings do not count. No login is needed and no patient data is
    looked at.
    """
    state = state_of(ctx)
    findings = [
        replace(finding, remedy=state.typed(finding.remedy))
        for finding in run_checks(state.archive, ask_terminal=not as_json)
    ]
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            print_lines([f"{finding.verdict.value:5} {finding.check:12} {finding.detail}"])
            if finding.remedy:
                print_lines([f"{'':18} {finding.remedy}"])
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)
