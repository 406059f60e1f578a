"""``archive.toml``: strict, typed, and able to say where each value came from.

Every setting is declared once, below: its default, its rule and its sentence of documentation.
The file that ``tuipacs init`` writes and ``docs/configuration.md`` are made from that.
"""

from __future__ import annotations

import dataclasses
import difflib
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tuipacs import config_rules as rules
from tuipacs.config_rules import setting
from tuipacs.errors import ConfigError, NotFoundError

MAX_FILE_BYTES = 65536
DEFAULT_ORIGIN = "default"


@dataclass(frozen=True)
class DicomSettings:
    """The DICOM listener."""

    ae_title: str = setting(
        "TUIPACS", rules.ae_title, "This archive's AE title, 1 to 16 characters."
    )
    host: str = setting(
        "127.0.0.1",
        rules.host,
        'Address to listen on. "0.0.0.0" or "::" listens on every interface: do that only on a'
        " network where every host may reach the archive.",
    )
    port: int = setting(
        11112,
        rules.whole(0, 65535),
        "TCP port to listen on. 0 picks a free one at each start (`tuipacs status` shows it).",
    )
    unknown_callers: str = setting(
        "echo",
        rules.one_of("echo", "store", "refuse"),
        "What callers that are no known node may do: answer C-ECHO only, also store, or be"
        " refused at association.",
    )
    check_called_ae: bool = setting(
        True, rules.boolean, "Refuse associations that call another AE title than ours."
    )
    max_associations: int = setting(
        32, rules.whole(1, 1000), "Associations open at the same time, all callers together."
    )
    max_associations_per_ae: int = setting(
        16, rules.whole(1, 1000), "Associations open at the same time with one calling AE title."
    )
    max_associations_per_address: int = setting(
        24,
        rules.whole(1, 1000),
        "Associations open at the same time with one IP address; raise it where all modalities"
        " come through one gateway.",
    )
    max_pdu: int = setting(
        131072,
        rules.whole(4096, 1048576),
        "Largest PDU we offer to receive, in bytes.",
    )
    acse_timeout: int = setting(
        30,
        rules.whole(1, 3600),
        "Seconds from a connection to its whole association request, TLS included.",
    )
    dimse_timeout: int = setting(
        60,
        rules.whole(1, 3600),
        "Seconds for one PDU, for the next 16 KiB of a message that has begun, and for a peer to"
        " take an answer.",
    )
    idle_timeout: int = setting(
        60, rules.whole(1, 86400), "Seconds without a message until an association is aborted."
    )
    max_find_results: int = setting(
        0,
        rules.whole(0, 10_000_000),
        "Answers to one query (C-FIND) at most; when more match, the last status says so (0xA700)."
        " 0: all of them, they stream. A node can have a limit of its own.",
    )
    refuse_sop_classes: tuple[str, ...] = setting(
        (),
        rules.uids,
        "SOP Class UIDs that are never accepted for storage. Empty: every storage class is kept.",
    )


@dataclass(frozen=True)
class TlsSettings:
    """DICOM over TLS 1.2 and 1.3 (PS3.15 B.12, BCP 195). Off until a certificate is named."""

    certificate: str = setting(
        "",
        rules.file_name,
        "This archive's certificate in a PEM file, its issuers after it. Empty: no TLS. Replaced"
        " files are taken for the next connection, without a restart.",
    )
    key: str = setting(
        "", rules.file_name, "The certificate's private key, PEM, readable for nobody else."
    )
    ca: str = setting(
        "",
        rules.file_name,
        "PEM file of the authorities whose certificates other nodes may show. A node's own"
        " certificate in it is trusted for itself.",
    )
    port: int = setting(
        2762,
        rules.whole(0, 65535),
        "TCP port for TLS, on the address of dicom.host. 0 picks a free one at each start.",
    )
    only: bool = setting(
        False, rules.boolean, "Listen on the TLS port alone: dicom.port is not opened."
    )
    require_client_certificate: bool = setting(
        True,
        rules.boolean,
        "Refuse callers that show no certificate of tls.ca. With false the archive proves who it"
        " is, and callers need not.",
    )


@dataclass(frozen=True)
class StorageSettings:
    """The stored bytes."""

    reserve_mb: int = setting(
        512,
        rules.whole(1, 1048576),
        "Free space to leave on the disk, in MiB. Below it nothing is stored any more (senders get"
        " 0xA700), and reading goes on.",
    )


@dataclass(frozen=True)
class SecuritySettings:
    """Sessions."""

    lock_after_minutes: int = setting(
        10, rules.whole(1, 1440), "Minutes without a key until a screen is locked."
    )
    command_session_hours: int = setting(
        8, rules.whole(1, 168), "Hours until a `tuipacs login` of the command line ends."
    )


@dataclass(frozen=True)
class RoutingSettings:
    """Sending on what arrives. The rules are data, not settings: `tuipacs route`."""

    quiet_seconds: int = setting(
        60,
        rules.whole(1, 86400),
        "Seconds without a new object until a study is taken for complete and the routing rules"
        " are asked; a rule may have its own.",
    )


@dataclass(frozen=True)
class JobsSettings:
    """Durable jobs: what is sent to other nodes, asked of them, or imported."""

    retries: int = setting(
        10,
        rules.whole(0, 1000),
        "How often in a row a job that got nothing done is tried again by itself, before it is"
        " given up (a dead letter: `tuipacs jobs retry` tries it again by hand).",
    )
    first_delay: int = setting(
        30,
        rules.whole(1, 86400),
        "Seconds until the first of these tries; each one after it waits twice as long.",
    )
    longest_delay: int = setting(
        600, rules.whole(1, 86400), "Seconds that it waits between two tries at most."
    )
    history_days: int = setting(
        30, rules.whole(1, 3650), "Days for which jobs that have ended stay on the list."
    )


@dataclass(frozen=True)
class ControlSettings:
    """The control socket."""

    socket_group: str = setting(
        "",
        rules.unix_group,
        "Unix group whose members may connect to the control socket (they still log in). Empty:"
        " only the Unix user that runs the daemon.",
    )


@dataclass(frozen=True)
class LogSettings:
    """The daemon's log."""

    level: str = setting(
        "info",
        rules.one_of("debug", "info", "warning", "error"),
        "How much goes into daemon.log. SIGHUP makes the daemon read this again.",
    )


@dataclass(frozen=True)
class Config:
    """All settings. ``origins`` names each value's source: "default" or "archive.toml line 7"."""

    dicom: DicomSettings = dataclasses.field(default_factory=DicomSettings)
    tls: TlsSettings = dataclasses.field(default_factory=TlsSettings)
    storage: StorageSettings = dataclasses.field(default_factory=StorageSettings)
    security: SecuritySettings = dataclasses.field(default_factory=SecuritySettings)
    jobs: JobsSettings = dataclasses.field(default_factory=JobsSettings)
    routing: RoutingSettings = dataclasses.field(default_factory=RoutingSettings)
    control: ControlSettings = dataclasses.field(default_factory=ControlSettings)
    log: LogSettings = dataclasses.field(default_factory=LogSettings)
    origins: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )


_TABLES: Mapping[str, type[Any]] = MappingProxyType(
    {
        "dicom": DicomSettings,
        "tls": TlsSettings,
        "storage": StorageSettings,
        "security": SecuritySettings,
        "jobs": JobsSettings,
        "routing": RoutingSettings,
        "control": ControlSettings,
        "log": LogSettings,
    }
)


@dataclass(frozen=True)
class SettingRow:
    """One line of ``tuipacs config show``: "dicom.port", its value as TOML, where it came from."""

    name: str
    value: str
    origin: str
    about: str


def load_config(path: Path) -> Config:
    """Read ``archive.toml``.

    Raises `NotFoundError` when there is none, and `ConfigError` naming every mistake in it, each
    with file, line and, for a misspelt name, the nearest valid one.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no archive in {path.parent}",
            remedy="make one with: tuipacs init --admin NAME",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return parse_config(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8") from None


def parse_config(text: str, file_name: str = "archive.toml") -> Config:
    """Read the text of an ``archive.toml``. Raises `ConfigError` as `load_config` does."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        twice = "Cannot declare" in str(error)
        raise ConfigError(
            f"{file_name}: not valid TOML: {error}",
            remedy="a table stands there once: fill in the one that is there" if twice else "",
        ) from None
    lines = _key_lines(text)
    mistakes: list[tuple[int, str]] = []
    origins: dict[str, str] = {}
    tables: dict[str, Any] = {}
    for name, content in document.items():
        if name not in _TABLES:
            mistakes.append(
                (lines.get((name,), 1), f"unknown table [{name}]{_near(name, _TABLES)}")
            )
        elif not isinstance(content, dict):
            mistakes.append((lines.get((name,), 1), f"[{name}] must be a table"))
        else:
            tables[name] = _read_table(name, content, lines, mistakes, origins)
    if isinstance(tables.get("tls"), TlsSettings):
        mistakes += ((lines[("tls",)], words) for words in _tls_faults(tables["tls"]))
        dicom = tables.get("dicom", DicomSettings())
        if _is_port_taken_twice(dicom, tables["tls"]):
            line = lines.get(("tls", "port"), lines[("tls",)])
            mistakes.append((line, _PORT_TWICE))
    if mistakes:
        raise ConfigError(
            "\n".join(f"{file_name}: line {line}: {words}" for line, words in sorted(mistakes))
        )
    return Config(**tables, origins=MappingProxyType(_with_defaults(origins)))


def _read_table(
    name: str,
    content: dict[str, Any],
    lines: Mapping[tuple[str, ...], int],
    mistakes: list[tuple[int, str]],
    origins: dict[str, str],
) -> Any:
    fields = {field.name: field for field in dataclasses.fields(_TABLES[name])}
    values: dict[str, Any] = {}
    for key, raw in content.items():
        line = lines.get((name, key), lines.get((name,), 1))
        if key not in fields:
            mistakes.append((line, f"unknown key {name}.{key}{_near(key, fields)}"))
            continue
        try:
            values[key] = fields[key].metadata["rule"].read(raw)
        except ValueError as error:
            mistakes.append((line, f"{name}.{key} {error}"))
        origins[f"{name}.{key}"] = f"archive.toml line {line}"
    return _TABLES[name](**values)


def _tls_faults(tls: TlsSettings) -> Iterator[str]:
    """What single values cannot show."""
    if not tls.certificate:
        if tls.only:
            yield "tls.only without tls.certificate would receive nothing at all"
        if tls.key:
            yield "tls.key without tls.certificate"
        return
    if not tls.key:
        yield "tls.certificate needs its tls.key"
    if tls.require_client_certificate and not tls.ca:
        yield (
            "tls.ca is needed to check callers' certificates (or tls.require_client_certificate ="
            " false: callers then need none)"
        )


def _is_port_taken_twice(dicom: DicomSettings, tls: TlsSettings) -> bool:
    return bool(tls.certificate) and not tls.only and 0 != tls.port == dicom.port


_PORT_TWICE = (
    "tls.port is dicom.port: two doors need two ports (2762 is usual for TLS; or tls.only = true)"
)


def _near(name: str, known: Mapping[str, object]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {nearest[0]}?)" if nearest else f" (known: {', '.join(known)})"


def _with_defaults(origins: dict[str, str]) -> dict[str, str]:
    return {name: origins.get(name, DEFAULT_ORIGIN) for name in setting_names()}


def setting_names() -> tuple[str, ...]:
    """All settings, "table.key", in the order of the file."""
    return tuple(
        f"{table}.{field.name}"
        for table, settings in _TABLES.items()
        for field in dataclasses.fields(settings)
    )


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each key path of a valid TOML text.

    Statements are found by parsing: lines are joined until they parse, under their table's header.
    """
    found: dict[tuple[str, ...], int] = {}
    header, pending, first = "", "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        if not pending:
            first = number
        pending += line.rstrip("\r") + "\n"
        try:
            statement = tomllib.loads(f"{header}\n{pending}")
        except tomllib.TOMLDecodeError:
            continue  # a value of several lines goes on
        if pending.lstrip().startswith("["):
            header = pending
            statement = tomllib.loads(pending)
        for path in _paths(statement):
            found.setdefault(path, first)
        pending = ""
    return found


def _paths(document: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*above, key)
            yield from _paths(value, (*above, key))


def describe(config: Config) -> tuple[SettingRow, ...]:
    """Every setting with its value and where the value came from."""
    return tuple(
        SettingRow(
            name=f"{table}.{field.name}",
            value=rules.as_toml(getattr(getattr(config, table), field.name)),
            origin=config.origins.get(f"{table}.{field.name}", DEFAULT_ORIGIN),
            about=field.metadata["about"],
        )
        for table, settings in _TABLES.items()
        for field in dataclasses.fields(settings)
    )


def render(config: Config) -> str:
    """A complete, explained ``archive.toml``; reading it gives ``config`` again."""
    parts = ["# Settings of this tuipacs archive. `tuipacs config validate` checks this file.\n"]
    for table, settings in _TABLES.items():
        parts.append(f"\n# {settings.__doc__}\n[{table}]\n")
        for field in dataclasses.fields(settings):
            parts.extend(f"# {line}\n" for line in textwrap.wrap(field.metadata["about"], 96))
            parts.append(f"# Allowed: {field.metadata['rule'].allowed}\n")
            value = getattr(getattr(config, table), field.name)
            parts.append(f"{field.name} = {rules.as_toml(value)}\n")
    return "".join(parts)


def reference() -> str:
    """The tables of ``docs/configuration.md``, in Markdown."""
    parts: list[str] = []
    for table, settings in _TABLES.items():
        parts.append(f"## `[{table}]`\n\n{settings.__doc__}\n\n")
        parts.append("| key | default | allowed | meaning |\n|---|---|---|---|\n")
        parts.extend(
            f"| `{field.name}` | `{rules.as_toml(field.default)}` |"
            f" {field.metadata['rule'].allowed} | {field.metadata['about']} |\n"
            for field in dataclasses.fields(settings)
        )
        parts.append("\n")
    return "".join(parts)
