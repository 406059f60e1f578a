"""The demo archive's second process: imports what it starts with, then plays the modality.

A process of its own, so that making pictures never makes a key wait. Its orders come as one line of
JSON on standard input; the end of standard input without a word means that the demo was killed: the
feeder then stops the daemon and removes the archive in its place.
"""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct
from pydicom.filewriter import dcmwrite

from tuipacs.client.connection import Connection
from tuipacs.demo.bundled import bundled_files
from tuipacs.demo.modality import Modality, Pace
from tuipacs.demo.synthetic import start_studies
from tuipacs.domain.job import JobRecord
from tuipacs.domain.user import ClientKind
from tuipacs.errors import DaemonUnreachableError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.scu.requestor import Peer

GOODBYE = b"goodbye\n"
READY = b"ready\n"
CALLING_AE_TITLE = "DEMOSCAN"
_POLL = 0.1  # seconds
_LAST_WORK = 10.0  # seconds; a study is made in a few


class Orders(Struct, frozen=True, kw_only=True):
    """What the feeder works on. ``root`` holds the archive and all else, and can be removed."""

    root: str
    archive: str
    admin: str
    password: str
    host: str
    port: int
    ae_title: str
    pace: Pace


def feed(orders: Orders, stop: threading.Event) -> None:
    """Import, say that it is done, then send until ``stop``."""
    inbox = Path(orders.root) / "inbox"
    _import(orders, inbox, stop)
    shutil.rmtree(inbox)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    peer = Peer(orders.host, orders.port, orders.ae_title, CALLING_AE_TITLE)
    Modality(peer, orders.pace, stop).run()


def _import(orders: Orders, inbox: Path, stop: threading.Event) -> None:
    """Bundled files first, since they are there at once; then what has to be made."""
    inbox.mkdir(mode=0o700)
    connection = _logged_in(orders)
    copies = inbox / "bundled"
    copies.mkdir()
    for path in bundled_files():  # copies, since an installer may have put links there
        shutil.copyfile(path, copies / path.name)
    jobs = [_submit(connection, [str(copies)])]
    for number, study in enumerate(start_studies(dt.datetime.now().astimezone())):
        if stop.is_set():
            return
        folder = inbox / f"{number:02d}"
        folder.mkdir()
        for index, dataset in enumerate(study):
            dcmwrite(folder / f"{index:04d}.dcm", dataset, enforce_file_format=True)
        jobs.append(_submit(connection, [str(folder)]))
    for job in jobs:
        while not stop.is_set():
            if connection.call(op.JOB, m.JobRequest(key=job.key)).state.ended:
                break
            time.sleep(_POLL)
    connection.call(op.LOGOUT, m.Empty())
    connection.close()


def _logged_in(orders: Orders) -> Connection:
    connection = Connection(ArchivePaths(Path(orders.archive)).socket)
    login = m.LoginRequest(user=orders.admin, password=orders.password, client=ClientKind.COMMAND)
    connection.token = connection.call(op.LOGIN, login).token
    return connection


def _submit(connection: Connection, paths: list[str]) -> JobRecord:
    return connection.call(op.IMPORT, m.ImportRequest(paths=tuple(paths)))


def _clean_up(orders: Orders) -> None:
    """Stop the daemon and remove the archive, for a demo that was killed."""
    try:
        connection = _logged_in(orders)
        connection.call(op.STOP, m.Empty())
        while True:  # it finishes what it receives, and writes until then
            connection.call(op.HEALTH, m.Empty())
            time.sleep(_POLL)
    except DaemonUnreachableError:
        pass  # gone, now or with the demo
    shutil.rmtree(orders.root, ignore_errors=True)


def main(orders_from: BinaryIO) -> None:
    """Run until standard input ends."""
    orders = msgspec.json.decode(orders_from.readline(), type=Orders)
    stop = threading.Event()
    worker = threading.Thread(target=feed, args=(orders, stop), daemon=True)
    worker.start()
    last_word = orders_from.readline()
    stop.set()
    worker.join(timeout=_LAST_WORK)
    if last_word != GOODBYE:
        _clean_up(orders)


if __name__ == "__main__":
    main(sys.stdin.buffer)
