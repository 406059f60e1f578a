"""What all associations of one listener share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.dimse.acceptor.slots import AssociationSlots
from tuipacs.dimse.contract import Admit, Identify, ListenerSettings, Observer, ServiceProvider


@dataclass(frozen=True)
class Engine:
    """The settings, and who decides, serves, watches and counts."""

    settings: ListenerSettings
    admit: Admit
    providers: Sequence[ServiceProvider]
    observer: Observer
    slots: AssociationSlots
    identify: Identify | None = None  # without one, no user identity is looked at
