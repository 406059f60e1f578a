"""``tuipacs tls``: certificates of a small site made, shown and checked."""

from __future__ import annotations

import datetime as dt
import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuipacs.cli.output import moment, note, print_json, print_lines
from tuipacs.cli.restart import RESTART, changed_settings, restart_words
from tuipacs.cli.state import JsonOption, State, is_archive, state_of
from tuipacs.client.connection import Connection
from tuipacs.config_rules import as_toml
from tuipacs.domain.safe_text import clean
from tuipacs.domain.verdict import Verdict
from tuipacs.errors import NotFoundError, TuipacsError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

if TYPE_CHECKING:
    from tuipacs.certificates.checking import CertificateFinding, TlsFiles
    from tuipacs.certificates.making import MadeFiles
    from tuipacs.certificates.reading import CertificateFacts
    from tuipacs.config import TlsSettings

app = typer.Typer(help="TLS: make, show and check certificates.", no_args_is_help=True)

KEYS = ("rsa", "ec")
FOLDER = "tls"  # in the archive's folder


def _key_kind(value: str) -> str:
    if value not in KEYS:
        raise typer.BadParameter(f"one of {', '.join(KEYS)}")
    return value


FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help=f"Where the files lie [{FOLDER} in the archive's folder]"),
]
KindOption = Annotated[
    str,
    typer.Option(
        "--key", metavar="KIND", callback=_key_kind, help="rsa (every peer knows it), or ec"
    ),
]


def _folder(ctx: typer.Context, chosen: Path | None) -> Path:
    if chosen is not None:
        return chosen.expanduser().absolute()
    archive = state_of(ctx).archive
    if not is_archive(archive):  # a folder with keys in it could not become one any more
        raise NotFoundError(
            f"there is no archive in {archive.root}",
            remedy="make one first: tuipacs init --admin NAME (or say where with --folder)",
        )
    return (archive.root / FOLDER).absolute()


@app.command("ca")
def ca(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[NAME]")] = "DICOM site CA",
    folder: FolderOption = None,
    days: Annotated[int, typer.Option(metavar="N", help="Valid for so many days")] = 3650,
    key: KindOption = "rsa",
    as_json: JsonOption = False,
) -> None:
    """Make a certificate authority for this site: ca.crt for everyone, ca.key for nobody."""
    from tuipacs.certificates.making import KeyKind, make_authority

    files = make_authority(
        _folder(ctx, folder), name, now=dt.datetime.now(dt.UTC), days=days, kind=KeyKind(key)
    )
    _tell_made(
        files,
        (
            "give ca.crt to every node and name it in [tls] ca",
            "whoever has ca.key can be any node: keep it off the network",
        ),
        as_json,
    )


@app.command("certificate")
def certificate(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Also the name of its files")],
    host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A DNS name; may be repeated")
    ] = None,
    ip: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="An address; may be repeated")
    ] = None,
    client: Annotated[
        bool, typer.Option("--client", help="For a node that only calls, and is never called")
    ] = False,
    folder: FolderOption = None,
    days: Annotated[int, typer.Option(metavar="N", help="Valid for so many days")] = 730,
    key: KindOption = "rsa",
    as_json: JsonOption = False,
) -> None:
    """Issue a certificate, for this archive or for a node: NAME.crt and NAME.key."""
    from tuipacs.certificates.making import KeyKind, Wanted, issue

    wanted = Wanted(
        name=name,
        hosts=tuple(host or ()),
        addresses=tuple(ip or ()),
        client_only=client,
        days=days,
        kind=KeyKind(key),
    )
    files = issue(_folder(ctx, folder), wanted, now=dt.datetime.now(dt.UTC))
    if not (host or ip or client):
        note("warning: it names no host and no address: callers that check the name refuse it")
        note("         make it with --host and --ip; with --client for a node that only calls")
    state = state_of(ctx)
    words = [f"for a node: {_node_add(state, files)}"]
    if not client:
        words = ["for this archive:", *_setting_lines(state.archive.root, files), *words]
    _tell_made(files, words, as_json)


def _node_add(state: State, files: MadeFiles) -> str:
    name = shlex.quote(str(files.certificate))
    return state.typed(f"tuipacs node add AE_TITLE --certificate {name}")


def _setting_lines(root: Path, files: MadeFiles) -> Iterator[str]:
    """What [tls] of archive.toml has to say."""
    yield f"  fill in the [tls] table that is in {root / 'archive.toml'}, and restart:"
    paths = {"certificate": files.certificate, "key": files.key, "ca": files.key.parent / "ca.crt"}
    for name, path in paths.items():
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        yield f"  {name} = {as_toml(str(shown))}"


@app.command("renew")
def renew(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate that ends")],
    folder: FolderOption = None,
    days: Annotated[int, typer.Option(metavar="N", help="Valid for so many days")] = 730,
    as_json: JsonOption = False,
) -> None:
    """Issue the same once more, with a new key: NAME-YYYYMMDD.crt and .key. Replaces nothing."""
    from tuipacs.certificates.making import issue, renewal_of

    now = dt.datetime.now(dt.UTC)
    place = _folder(ctx, folder)
    files = issue(place, renewal_of(file, place, now=now, days=days), now=now)
    state = state_of(ctx)
    own = _own_files(state.archive)
    if own is not None and file.resolve() == own.certificate.resolve():
        words = [
            "this archive shows the old one: put both in its place, no restart is needed:",
            f"  cp {shlex.quote(str(files.key))} {shlex.quote(str(own.key))}",
            f"  cp {shlex.quote(str(files.certificate))} {shlex.quote(str(own.certificate))}",
        ]
    else:
        words = [
            "give both files to the node. If it is bound to the old one:",
            state.typed(
                f"  tuipacs node edit AE_TITLE --certificate {shlex.quote(str(files.certificate))}"
            ),
        ]
    _tell_made(files, words, as_json)


def _own_files(archive: ArchivePaths) -> TlsFiles | None:
    """What [tls] names; None without, and for settings that cannot be read."""
    from tuipacs.config import load_config
    from tuipacs.dimse.tls import files_of

    try:
        return files_of(load_config(archive.config).tls, archive.root)
    except TuipacsError:
        return None


def _tell_made(files: MadeFiles, words: Iterable[str], as_json: bool) -> None:
    from tuipacs.certificates.reading import facts_of, read_certificates

    facts = facts_of(read_certificates(files.certificate)[0])
    if as_json:
        print_json({"certificate": str(files.certificate), "key": str(files.key), "facts": facts})
        return
    print_lines([str(files.certificate), str(files.key), *_facts_lines(facts), *words])


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PEM or DER")],
    as_json: JsonOption = False,
) -> None:
    """What the certificates of a file say, and the SHA-256 that a node is bound to."""
    from tuipacs.certificates.reading import facts_of, read_certificates

    found = [facts_of(one) for one in read_certificates(file)]
    if as_json:
        print_json(found)
        return
    for number, facts in enumerate(found):
        print_lines([*([""] if number else []), *_facts_lines(facts)])


def _facts_lines(facts: CertificateFacts) -> list[str]:
    left = int((facts.not_after - time.time()) // 86400)
    validity = f"{left} days left" if left >= 0 else "EXPIRED"
    may = "signs certificates" if facts.is_ca else ", ".join(facts.purposes) or "anything"
    return [
        f"subject    {facts.subject}",
        f"issuer     {facts.issuer}{' (itself)' if facts.self_issued else ''}",
        f"names      {', '.join(facts.names) or '-'}",
        f"valid      {moment(facts.not_before)} to {moment(facts.not_after)}, {validity}",
        f"key        {facts.key}, signed with {facts.signature or 'its own kind'}",
        f"use        {may}",
        f"SHA-256    {facts.sha256}",
    ]


@app.command("check")
def check(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Do the files of [tls] fit together, and until when? Exit code 1 if not.

    Run it as the user that runs the daemon: who may read the key is part of it.
    """
    from tuipacs.config import load_config

    state = state_of(ctx)
    archive = state.archive
    findings = check_settings(load_config(archive.config).tls, archive.root)
    if not findings:
        raise NotFoundError(
            "TLS is off: [tls] certificate is empty", remedy="how to begin: docs/tls.md"
        )
    findings += _restart(archive)
    if as_json:  # the keys of `tuipacs doctor --json`
        print_json(
            [
                {
                    "check": finding.part,
                    "verdict": finding.verdict,
                    "detail": finding.words,
                    "remedy": state.typed(finding.remedy),
                }
                for finding in findings
            ]
        )
    else:
        for finding in findings:
            print_lines([f"{finding.verdict.value:5} {finding.part:12} {finding.words}"])
            if finding.remedy:
                print_lines([f"{'':18} {state.typed(finding.remedy)}"])
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


def _restart(archive: ArchivePaths) -> Iterator[CertificateFinding]:
    """Whether a daemon that runs knows the settings that were checked."""
    from tuipacs.certificates.checking import CertificateFinding

    with suppress(TuipacsError), closing(Connection(archive.socket, timeout=10)) as connection:
        changed = changed_settings(archive, connection.call(op.HEALTH, m.Empty()))
        if changed:
            yield CertificateFinding("daemon", Verdict.WARN, restart_words(changed), RESTART)


def check_settings(settings: TlsSettings, root: Path) -> list[CertificateFinding]:
    """All findings about the files of the settings; none when TLS is off."""
    from tuipacs.certificates.checking import CertificateFinding, check_files
    from tuipacs.dimse.tls import files_of, server_context

    files = files_of(settings, root)
    if files is None:
        return []
    findings = list(check_files(files, time.time()))
    if all(finding.verdict is not Verdict.FAIL for finding in findings):
        try:  # what the daemon will do has the last word
            server_context(files, require_certificate=settings.require_client_certificate)
        except TuipacsError as error:
            findings.append(
                CertificateFinding("tls", Verdict.FAIL, clean(error.message), error.remedy)
            )
    return findings
