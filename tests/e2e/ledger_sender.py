"""A sender that trusts nobody: run as a process of its own, it writes down what it was promised.

    python -m tests.e2e.ledger_sender PORT LEDGER SEED COUNT

One association, COUNT objects. Before an object is sent, ``offered UID SHA256`` goes to the ledger
and to the disk; after status 0x0000, ``acknowledged UID SHA256``. It ends with 0 when all were
acknowledged and with 1 when the peer went away or said something else. No DICOM library sends
here, so the bytes hashed are the bytes on the wire.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.builders import dataset_bytes, make_study
from tests.dimse.raw_peer import CT_CONTEXT, RawPeer
from tests.e2e.proof import REPOSITORY, sha256

OFFERED, ACKNOWLEDGED = "offered", "acknowledged"
_TRAILING_PADDING = 0xFFFCFFFC


def objects(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """(SOP Instance UID, dataset) of small and larger objects in studies of five."""
    chance = random.Random(seed)  # noqa: S311 - sizes, no secrets
    made = 0
    while made < count:
        for dataset in make_study(1, min(5, count - made), PatientID=f"P{seed}-{made}"):
            size = chance.choice((0, 100, 5_000, 60_000, 300_000))
            dataset.add_new(_TRAILING_PADDING, "OB", chance.randbytes(size // 2 * 2))
            yield str(dataset.SOPInstanceUID), dataset_bytes(dataset)
            made += 1


def send(port: int, ledger: Path, seed: int, count: int) -> int:
    """See the module's text."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(word: str, uid: str, data: bytes) -> None:
        os.write(descriptor, f"{word} {uid} {sha256(data)}\n".encode())
        os.fsync(descriptor)

    try:
        with RawPeer(port) as peer:
            if (
                peer.associate([CT_CONTEXT], calling=f"SENDER{seed % 1000}".encode()).kind
                != "accept"
            ):
                return 1
            for uid, data in objects(seed, count):
                note(OFFERED, uid, data)
                if peer.store(data, instance=uid) != 0:
                    return 1
                note(ACKNOWLEDGED, uid, data)
            peer.release()
    except (OSError, AssertionError):  # the peer went away
        return 1
    finally:
        os.close(descriptor)
    return 0


def start(port: int, ledger: Path, seed: int, count: int) -> subprocess.Popen[bytes]:
    """The sender as a process."""
    words = [str(port), str(ledger), str(seed), str(count)]
    return subprocess.Popen([sys.executable, "-m", __name__, *words], cwd=REPOSITORY)


def read(ledger: Path, word: str) -> dict[str, str]:
    """SHA-256 of the dataset by SOP Instance UID; a line that was never finished does not count."""
    if not ledger.exists():
        return {}
    whole = ledger.read_text().rpartition("\n")[0]
    lines = [line.split() for line in whole.splitlines()]
    return {uid: digest for kind, uid, digest in lines if kind == word}


if __name__ == "__main__":
    sys.exit(send(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
