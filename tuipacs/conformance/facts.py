"""What a conformance statement is made of: the settings, and the services that really answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydicom._uid_dict import UID_dictionary

from tuipacs.config import Config
from tuipacs.dimse.contract import ServiceProvider
from tuipacs.dimse.syntaxes import name_of


@dataclass(frozen=True)
class Facts:
    """``providers`` are those of the listener, in the order in which it asks them."""

    version: str
    config: Config
    providers: Sequence[ServiceProvider]

    def providers_of(self, command_field: int) -> tuple[ServiceProvider, ...]:
        """Those that answer a request (PS3.7 E.1)."""
        return tuple(p for p in self.providers if p.command_field == command_field)

    def classes_of(self, command_field: int) -> tuple[str, ...]:
        """UIDs of the standard's SOP classes that are served for a request, by UID."""
        return _sorted(
            uid
            for uid, entry in UID_dictionary.items()
            if entry[1] in ("SOP Class", "Meta SOP Class")
            and any(p.serves(uid) for p in self.providers_of(command_field))
        )

    def syntaxes_of(self, command_field: int) -> tuple[str, ...]:
        """UIDs of the standard's transfer syntaxes that are taken for a request, by UID."""
        providers = self.providers_of(command_field)
        return syntaxes(lambda uid: any(p.takes(uid) for p in providers))


def syntaxes(takes: Callable[[str], bool]) -> tuple[str, ...]:
    """UIDs of the standard's transfer syntaxes that ``takes`` is true for, by UID."""
    return _sorted(
        uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax" and takes(uid)
    )


def named(uids: Iterable[str]) -> list[tuple[str, str]]:
    """Rows of a table: the standard's name, and the UID; retired ones say so."""
    rows = []
    for uid in uids:
        name = name_of(uid)
        retired = UID_dictionary.get(uid, ("", "", "", ""))[3] == "Retired"
        rows.append((f"{name} (Retired)" if retired and "Retired" not in name else name, uid))
    return rows


def _sorted(uids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(uids, key=lambda uid: [int(part) for part in uid.split(".")]))
