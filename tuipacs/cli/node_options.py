"""What ``node add`` and ``node edit`` can be told of a node, and the request made of it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import typer

from tuipacs.cli.output import moment, note
from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.domain.node import CallService
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.domain.transfer_syntaxes import check_preferred
from tuipacs.errors import UsageError
from tuipacs.schema.node_messages import NodeAddRequest

NONE, ANY = "none", "any"
_MAY = ", ".join(GIVEN_SERVICES)
_CALLS = ", ".join(CallService)

S = TypeVar("S", bound=str)


def _option(help_: str, metavar: str = "", *names: str) -> Any:
    return typer.Option(*names, help=help_, metavar=metavar or None, show_default=False)


Address = Annotated[
    str | None, _option("IP address or CIDR that it calls from, or 'any'", "ADDRESS")
]
Service = Annotated[
    list[str] | None,
    _option(f"What it may ask for here: {_MAY}, or '{NONE}'", "SERVICE[,...]"),
]
Description = Annotated[str | None, _option("A word about it", "TEXT")]
Certificate = Annotated[
    str | None,
    _option(f"Its own certificate, or the SHA-256 of it, or '{NONE}'; implies TLS", "FILE|HASH"),
]
RequireTls = Annotated[
    bool | None,
    _option("Without TLS it is refused", "", "--require-tls/--no-require-tls"),
]
RequireIdentity = Annotated[
    bool | None,
    _option(
        "It has to name a user of this archive; implies TLS",
        "",
        "--require-identity/--no-require-identity",
    ),
]
CharacterSet = Annotated[
    str | None,
    _option(f"Assumed where it names none, such as ISO_IR 100, or '{NONE}'", "TERM"),
]
Host = Annotated[
    str | None, _option(f"Where it is called: host name or IP address, or '{NONE}'", "HOST")
]
Port = Annotated[int | None, _option("Its DICOM port [104]", "PORT")]
Call = Annotated[
    list[str] | None,
    _option(
        f"What it may be asked for: {_CALLS}, or '{NONE}' [with a host: echo, send, query, move]",
        "SERVICE[,...]",
    ),
]
UseTls = Annotated[bool | None, _option("Call it over TLS", "", "--tls/--no-tls")]
CallingTitle = Annotated[
    str | None, _option(f"Call it under this AE title, or '{NONE}' for our own", "TITLE")
]
Prefer = Annotated[
    list[str] | None,
    _option(
        "What objects are converted to if it does not take them as they are: a UID or"
        f" ExplicitVRLittleEndian and the like, or '{NONE}'",
        "SYNTAX[,...]",
    ),
]
SameAssociation = Annotated[
    bool | None,
    _option(
        "Report on a storage commitment where it was asked for, if that is open still",
        "",
        "--report-on-same-association/--report-on-new-association",
    ),
]
Jobs = Annotated[int | None, _option("Jobs that call it at once [1]", "N")]
MaxPdu = Annotated[int | None, _option("Longest PDU in bytes [131072]", "BYTES")]
ConnectTimeout = Annotated[float | None, _option("For TCP and TLS [10]", "SECONDS")]
AcseTimeout = Annotated[float | None, _option("For an association [30]", "SECONDS")]
DimseTimeout = Annotated[float | None, _option("For each answer [60]", "SECONDS")]
Rate = Annotated[int | None, _option("KiB a second at most; 0 for no limit", "KIB")]
Window = Annotated[
    str | None, _option(f"When its jobs run, such as 22:00-06:00, or '{NONE}'", "TIMES")
]
MaxResults = Annotated[
    int | None, _option("C-FIND answers it gets; 0 for the archive's own limit", "N")
]


@dataclass(frozen=True, kw_only=True)
class Given:
    """The options of one command; None: not given."""

    address: Address = None
    service: Service = None
    description: Description = None
    certificate: Certificate = None
    require_tls: RequireTls = None
    require_identity: RequireIdentity = None
    character_set: CharacterSet = None
    host: Host = None
    port: Port = None
    call: Call = None
    tls: UseTls = None
    calling_title: CallingTitle = None
    prefer: Prefer = None
    report_on_same_association: SameAssociation = None
    jobs: Jobs = None
    max_pdu: MaxPdu = None
    connect_timeout: ConnectTimeout = None
    acse_timeout: AcseTimeout = None
    dimse_timeout: DimseTimeout = None
    rate: Rate = None
    window: Window = None
    max_results: MaxResults = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given."""
        return all(getattr(self, field.name) is None for field in fields(self))


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``given`` all these options; typer looks at signatures."""
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(Given, include_extras=True)
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None)
        for field in fields(Given)
    ]

    def wrapper(**words: Any) -> None:
        given = Given(**{option.name: words.pop(option.name) for option in options})
        command(given=given, **words)

    arguments = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in own.items()
        if name != "given"
    ]
    mine = [option.replace(annotation=hints[option.name]) for option in options]
    wrapper.__signature__ = inspect.Signature([*arguments, *mine])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in (*arguments, *mine)}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper


def changed(before: NodeAddRequest, given: Given) -> NodeAddRequest:
    """``before`` with what was given. Raises `UsageError`."""
    call = _changes(
        host=_or_nothing(given.host),
        port=given.port,
        services=_named(given.call, tuple(CallService), "--call"),
        calling_ae_title=_or_nothing(given.calling_title),
        use_tls=given.tls,
        preferred_syntaxes=_syntaxes(given.prefer),
        max_associations=given.jobs,
        max_pdu=given.max_pdu,
        connect_timeout=given.connect_timeout,
        acse_timeout=given.acse_timeout,
        dimse_timeout=given.dimse_timeout,
        kib_per_second=given.rate,
        window=_or_nothing(given.window),
        report_on_same_association=given.report_on_same_association,
    )
    if call.get("host") == "":  # what was asked of it goes with its address
        call.setdefault("services", ())
    own = None if given.certificate is None else _certificate_hash(_or_nothing(given.certificate))
    changes = _changes(
        address=_or_nothing(given.address),
        services=_named(given.service, GIVEN_SERVICES, "--service"),
        description=given.description,
        certificate_sha256=own,
        require_tls=given.require_tls,
        require_identity=given.require_identity,
        character_set=_or_nothing(given.character_set),
        max_results=given.max_results,
    )
    if call:
        changes["call"] = msgspec.structs.replace(before.call, **call)
    return msgspec.structs.replace(before, **changes)


def _changes(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _or_nothing(text: str | None) -> str | None:
    return "" if text is not None and text.strip().lower() in (NONE, ANY) else text


def _words(given: list[str] | None) -> list[str] | None:
    """``a,b`` and ``a`` ``b`` are the same; `NONE` alone is an empty list."""
    if given is None:
        return None
    words = [word.strip() for text in given for word in text.split(",") if word.strip()]
    return [] if [word.lower() for word in words] == [NONE] else words


def _named(given: list[str] | None, known: tuple[S, ...], option: str) -> tuple[S, ...] | None:
    words = _words(given)
    if words is None:
        return None
    wrong = [word for word in words if word.lower() not in known]
    if wrong:
        raise UsageError(
            f"{option} {wrong[0]}: there is no such service", remedy=f"one of {', '.join(known)}"
        )
    return tuple(each for each in known if each in [word.lower() for word in words])


def _syntaxes(given: list[str] | None) -> tuple[str, ...] | None:
    words = _words(given)
    return None if words is None else check_preferred(words)


def _certificate_hash(text: str | None) -> str:
    """Of a file if there is one of that name, else ``text`` has to be a hash itself."""
    if text and Path(text).is_file():
        return _of_file(Path(text))
    try:
        return check_fingerprint(text or "")
    except UsageError:
        raise UsageError(
            f"--certificate {text}: neither a file nor a SHA-256 of 64 hexadecimal digits",
            remedy="tuipacs tls show FILE prints it",
        ) from None


def _of_file(path: Path) -> str:
    from tuipacs.certificates.reading import facts_of, read_certificates

    facts = facts_of(read_certificates(path)[0])
    if facts.is_ca:
        raise UsageError(
            f"{path} is an authority's certificate, and a node shows its own",
            remedy="name the node's file. A device that really shows this one, because it signed"
            f" it itself: --certificate {facts.sha256}",
        )
    now = time.time()
    if not facts.not_before <= now < facts.not_after:
        note(f"warning: {path} is not valid now: {moment(facts.not_before)}")
        note(f"         to {moment(facts.not_after)}; the node is refused until it shows another")
    return facts.sha256
