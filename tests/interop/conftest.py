"""One archive for all of these tests in a process, and a tap on its line."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon_fixture import ADMIN, PASSWORD, RunningArchive
from tests.interop.samples import USER, WITH_USER, Certificates
from tests.interop.tap import Tap
from tests.ports import unused_port, wait_for_port
from tuipacs.bootstrap import create_archive
from tuipacs.certificates.making import KeyKind, Wanted, issue, make_authority
from tuipacs.certificates.reading import facts_of, read_certificates
from tuipacs.config import Config, DicomSettings, TlsSettings
from tuipacs.domain.permissions import GIVEN_SERVICES, NodeService, Role
from tuipacs.paths import ArchivePaths
from tuipacs.schema import operations
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.services.password_hash import PasswordHasher

CLIENTS = ("ODIL", "DCMJS", "ORTHANC", "DCMTK")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A site's authority, the archive's certificate, one for a client, and a stranger's."""
    folder, elsewhere = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("elsewhere")
    now = dt.datetime.now(dt.UTC)
    kind = KeyKind.EC  # RSA keys take a second to make
    site = make_authority(folder, "Interop site", now=now, kind=kind)
    make_authority(elsewhere, "Another site", now=now, kind=kind)
    archive = Wanted(name="archive", hosts=("localhost",), addresses=("127.0.0.1",), kind=kind)
    client = Wanted(name="client", kind=kind)
    return Certificates(
        authority=site.certificate,
        archive=issue(folder, archive, now=now),
        client=issue(folder, client, now=now),
        stranger=issue(elsewhere, client, now=now),
    )


@pytest.fixture(scope="session")
def archive(certificates: Certificates) -> Iterator[RunningArchive]:
    """A daemon with TLS beside, where these clients may do everything.

    Tests share it: each sends objects of its own.
    """
    base = Path(tempfile.mkdtemp(prefix="tp"))  # a Unix socket's path must be short
    paths = ArchivePaths(base / "a")
    config = Config(
        dicom=DicomSettings(port=0),
        tls=TlsSettings(
            certificate=str(certificates.archive.certificate),
            key=str(certificates.archive.key),
            ca=str(certificates.authority),
            port=0,
        ),
    )
    hasher = PasswordHasher(memory_kib=64, iterations=1)
    create_archive(paths, config, ADMIN, PASSWORD, hasher=hasher)
    running = RunningArchive(paths)
    try:
        running.start()
        connection = running.connect()
        for client in CLIENTS:
            node = NodeAddRequest(ae_title=client, address="", services=GIVEN_SERVICES)
            connection.call(operations.NODE_ADD, node)
        shown = read_certificates(certificates.client.certificate)[0]
        bound = NodeAddRequest(
            ae_title=WITH_USER,
            address="",
            services=(NodeService.ECHO,),
            certificate_sha256=facts_of(shown).sha256,
            require_identity=True,
        )
        connection.call(operations.NODE_ADD, bound)
        running.add_user(USER, Role.VIEWER)
        yield running
    finally:
        running.close()
        shutil.rmtree(base)


@pytest.fixture
def tap(archive: RunningArchive) -> Iterator[Tap]:
    """Connect to its port instead of the archive's, and it knows what was sent."""
    line = Tap(archive.port)
    yield line
    line.close()


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[int]:
    """The port of a DCMTK receiver that takes everything."""
    folder, port = tmp_path / "received", unused_port()
    folder.mkdir()
    command = ["storescp", "+xa", "-pm", "-od", str(folder), "-aet", "ANYBODY", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()
