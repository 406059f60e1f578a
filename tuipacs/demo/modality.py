"""A simulated modality: makes a study every little while and sends it slice by slice."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from tuipacs.demo.synthetic import next_study
from tuipacs.errors import UnavailableError
from tuipacs.scu.c_store import StoreOutcome, store_datasets
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import context_of


@dataclass(frozen=True)
class Pace:
    """Seconds of waiting."""

    before_first: float = 4.0
    between_studies: float = 25.0
    between_slices: float = 0.25


class Modality:
    """Sends synthetic studies to one archive until it is told to stop."""

    def __init__(self, peer: Peer, pace: Pace, stop: threading.Event) -> None:
        self._peer = peer
        self._pace = pace
        self._stop = stop

    def run(self) -> None:
        """Send until stopped; an archive that is away is tried again with the next study."""
        number = 0
        self._stop.wait(self._pace.before_first)
        while not self._stop.is_set():
            try:
                for _ in self.send(number):
                    pass
            except UnavailableError:
                number -= 1  # the same study again
            number += 1
            self._stop.wait(self._pace.between_studies)

    def send(self, number: int) -> Iterator[StoreOutcome]:
        """Send study ``number`` on one association. Raises `UnavailableError` if none comes."""
        study = next_study(number, dt.datetime.now().astimezone())
        contexts = sorted({context_of(dataset) for dataset in study})
        yield from store_datasets(self._peer, self._slowly(study), contexts)

    def _slowly(self, study: Iterable[Dataset]) -> Iterator[Dataset]:
        for dataset in study:
            if self._stop.wait(self._pace.between_slices):
                return
            yield dataset
