"""Rules for single settings: what is allowed, in words and in code, and how a value is written."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tuipacs.domain.ae_title import ae_title_fault, strip_ae_title
from tuipacs.domain.uid import is_valid_uid

T = TypeVar("T")


@dataclass(frozen=True)
class Rule:
    """``read`` turns a TOML value into the setting's or raises `ValueError` with words."""

    allowed: str
    read: Callable[[Any], Any]


def setting(default: T, rule: Rule, about: str) -> T:
    """Declare one setting of a settings dataclass."""
    field: T = dataclasses.field(default=default, metadata={"rule": rule, "about": about})
    return field


def as_toml(value: Any) -> str:
    """``value`` as TOML writes it: text, whole number, boolean or list of texts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "text")


def _shown(value: object) -> str:
    return json.dumps(str(value))[:60]


def whole(least: int, most: int) -> Rule:
    """A whole number in a range, both ends included."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number, not {_kind(value)}")
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}, not {value}")
        return value

    return Rule(f"{least} to {most}", read)


def one_of(*choices: str) -> Rule:
    """One of some words."""

    def read(value: Any) -> str:
        if _text(value) not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(value)}")
        return str(value)

    return Rule(" or ".join(f'"{choice}"' for choice in choices), read)


def _read_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_kind(value)}")
    return value


boolean = Rule("true or false", _read_boolean)


def _read_ae_title(value: Any) -> str:
    text = _text(value)
    if fault := ae_title_fault(text):
        raise ValueError(fault)
    if text != strip_ae_title(text):
        raise ValueError("must not begin or end with a blank")
    return text


ae_title = Rule("1 to 16 printable ASCII characters, no backslash (PS3.5 6.2, AE)", _read_ae_title)

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


def _read_host(value: Any) -> str:
    text = _text(value)
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text) or text.replace(".", "").isdigit():
            raise ValueError(f"must be an IP address or a host name, not {_shown(text)}") from None
    return text


host = Rule("an IP address or host name of this machine", _read_host)


def _read_uids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of UIDs, not {_kind(value)}")
    for item in value:
        if not is_valid_uid(_text(item)):
            raise ValueError(f"has {_shown(item)}, which is no UID")
    return tuple(value)


uids = Rule("a list of UIDs", _read_uids)


def _read_group(value: Any) -> str:
    text = _text(value)
    if text and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", text):
        raise ValueError(f"must be the name of a Unix group, not {_shown(text)}")
    return text


unix_group = Rule("the name of a Unix group, or empty", _read_group)


def _read_file_name(value: Any) -> str:
    text = _text(value)
    if len(text) > 1024 or not text.isprintable():
        raise ValueError("must be a path of at most 1024 printable characters")
    return text


file_name = Rule("a path, from the archive's folder if it does not begin with /", _read_file_name)
