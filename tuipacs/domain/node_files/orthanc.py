"""``DicomModalities`` of Orthanc's JSON configuration, in the array and the object form."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tuipacs.domain.node import USUALLY_ASKED, CallService, NodeCall
from tuipacs.domain.node_files.found import (
    Collector,
    FileNode,
    FileNodes,
    file_node,
    port_of,
)
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.safe_text import clean
from tuipacs.errors import UsageError

KEY = "DicomModalities"
_ALLOWED = {  # Orthanc allows what it is not told to refuse
    NodeService.ECHO: ("AllowEcho",),
    NodeService.STORE: ("AllowStore",),
    NodeService.QUERY: ("AllowFind",),
    NodeService.MOVE: ("AllowMove",),
    NodeService.GET: ("AllowGet",),
    NodeService.COMMIT: ("AllowStorageCommitment", "AllowNAction"),
}
_KNOWN = {
    *(name for names in _ALLOWED.values() for name in names),
    *("AET", "Host", "Port", "Manufacturer", "UseDicomTls", "LocalAet", "Timeout"),
    *("AllowNEventReport", "AllowEventReport", "AllowFindWorklist", "RetrieveMethod"),
    "AllowTranscoding",
}
_MARKS = re.compile(r'["/]')
_IN_STRING = re.compile(r'["\\]')
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def looks_like(text: str) -> bool:
    """Whether it begins as a JSON object, behind comments."""
    try:
        return without_comments(text).lstrip().startswith("{")
    except UsageError:
        return False


def read(text: str) -> FileNodes:
    """All modalities. Raises `UsageError` for what is no JSON."""
    try:
        whole = msgspec.json.decode(without_comments(text).encode("utf-8", "replace"))
    except msgspec.DecodeError as error:
        raise UsageError(f"this is no JSON: {clean(str(error), limit=100)}") from None
    except RecursionError:
        raise UsageError("this JSON is nested too deeply") from None
    if not isinstance(whole, dict):
        raise UsageError("this JSON is no object")
    collector = Collector()
    entries = whole.get(KEY)
    if not isinstance(entries, dict):
        words = f"it has no {KEY}"
        if whole.get("DicomModalitiesInDatabase") is True:
            words += ": this Orthanc keeps them in its database (GET /modalities?expand)"
        elif entries is None and whole and all(_is_entry(value) for value in whole.values()):
            entries = whole  # what GET /modalities?expand answers
        if not isinstance(entries, dict):
            collector.leave(KEY, words)  # of several files one may have it
            return collector.result()
    for name, value in entries.items():
        collector.take(name, lambda name=name, value=value: _node(name, value))  # type: ignore[misc]
    return collector.result()


def _is_entry(value: object) -> bool:
    return isinstance(value, dict) and "AET" in value and "Host" in value


def _node(name: str, value: Any) -> FileNode:
    if isinstance(value, list):
        if not 3 <= len(value) <= 4:
            raise UsageError("a list of AE title, host, port (and manufacturer) was expected")
        keys = ("AET", "Host", "Port", "Manufacturer")
        value = dict(zip(keys, value, strict=False))
    if not isinstance(value, dict):
        raise UsageError("neither a list nor an object")
    title, host = _text(value, "AET"), _text(value, "Host")
    asked = USUALLY_ASKED
    if value.get("RetrieveMethod") == "C-GET":
        asked = (
            *(service for service in USUALLY_ASKED if service is not CallService.MOVE),
            CallService.GET,
        )
    call = NodeCall(
        port=port_of(value.get("Port", "")),
        services=asked,
        use_tls=_is_true(value, "UseDicomTls", default=False),
        calling_ae_title=_text(value, "LocalAet") if value.get("LocalAet") else "",
    )
    notes = []
    if timeout := value.get("Timeout"):  # 0: Orthanc's own
        if not isinstance(timeout, int) or isinstance(timeout, bool) or not 0 < timeout <= 3600:
            notes.append("its Timeout is not taken over")
        else:
            call = msgspec.structs.replace(call, dimse_timeout=float(timeout))
    if unknown := sorted(str(key) for key in value.keys() - _KNOWN):
        notes.append(f"not understood: {', '.join(unknown[:5])}")
    manufacturer = str(value.get("Manufacturer", ""))
    return file_node(
        name,
        title,
        host,
        call,
        services=[
            service
            for service, names in _ALLOWED.items()
            if all(_is_true(value, each, default=True) for each in names)
        ],
        description="" if manufacturer in ("", "Generic") else manufacturer,
        notes=notes,
    )


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"it has no {key}")
    if _VARIABLE.search(text):
        raise UsageError(f"its {key} is a variable of the environment: write it out")
    return text


def _is_true(value: dict[str, Any], key: str, *, default: bool) -> bool:
    found = value.get(key, default)
    if not isinstance(found, bool):
        raise UsageError(f"its {key} is neither true nor false")
    return found


def without_comments(text: str) -> str:
    """``text`` without ``//`` and ``/* */`` outside of strings. Raises `UsageError` if cut off."""
    parts, at = [], 0
    while (mark := _MARKS.search(text, at)) is not None:
        start = mark.start()
        if mark.group() == '"':
            end = _string_end(text, start)
            parts.append(text[at:end])
        elif text.startswith("//", start):
            parts.append(text[at:start])
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
        elif text.startswith("/*", start):
            parts.append(text[at:start] + " ")
            end = text.find("*/", start + 2) + 2
            if end < 2:
                raise UsageError("a comment in it has no end")
        else:
            end = start + 1
            parts.append(text[at:end])
        at = end
    return "".join([*parts, text[at:]])


def _string_end(text: str, start: int) -> int:
    at = start + 1
    while (mark := _IN_STRING.search(text, at)) is not None:
        if mark.group() == '"':
            return mark.end()
        at = mark.end() + 1
    raise UsageError("a text in it has no end")
