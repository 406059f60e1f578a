"""DCMTK's own clients over TLS, with certificates and users as modalities have them."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom.data
import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.tls_site import PASSWORD, Site, refused, secure_archive, sha256
from tests.waiting import eventually
from tuipacs.certificates.making import MadeFiles, Wanted, issue
from tuipacs.dimse.tls import ServerTls
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.schema.node_messages import NodeAddRequest

pytestmark = pytest.mark.dcmtk
CT_FILE = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"


class MixedSite(Site):
    """The archive's key is RSA, as `tuipacs tls` makes it; the nodes' keys are EC."""

    def issue(self, name: str, *, days_ago: int = 0, **wanted: Any) -> MadeFiles:
        if name == "archive":
            return issue(self.folder, Wanted(name=name), now=dt.datetime.now(dt.UTC))
        return super().issue(name, days_ago=days_ago, **wanted)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return MixedSite(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """CT1 is bound to its certificate; MR2 has to name a user."""
    folder = tmp_path_factory.mktemp("tls") / "archive"
    with secure_archive(folder, ServerTls(site.files()), accounts=("ada",)) as archive:
        for title, own, identity in (("CT1", site.ct1, False), ("MR2", site.mr2, True)):
            archive.nodes.add(
                ADMIN,
                NodeAddRequest(
                    ae_title=title,
                    address="",
                    services=GIVEN_SERVICES,
                    certificate_sha256=sha256(own),
                    require_identity=identity,
                ),
            )
        yield archive


def call(
    program: str, archive: Archive, *options: str | Path, title: str = "CT1", file: bool = False
) -> subprocess.CompletedProcess[str]:
    port = str(archive.listener.tls_port)
    ends = ("-aec", "TUIPACS", "-aet", title, "127.0.0.1", port, *([CT_FILE] if file else []))
    return subprocess.run(
        [program, *map(str, (*options, *ends))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def secured(site: Site, own: MadeFiles) -> tuple[str | Path, ...]:
    return ("+tls", own.key, own.certificate, "+cf", site.ca)


def test_its_clients_test_store_and_search(archive: Archive, site: Site) -> None:
    own = secured(site, site.ct1)
    assert call("echoscu", archive, *own).returncode == 0
    result = call("storescu", archive, *own, file=True)
    assert result.returncode == 0, result.stderr
    assert archive.keeper.received[-1].calling_ae_title == "CT1"
    result = call(
        "findscu", archive, *own, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "0020000D"
    )
    assert result.returncode == 0, result.stderr
    assert all(row.is_tls for row in archive.records())


def test_without_a_certificate_or_with_a_strangers_they_are_refused(
    archive: Archive, site: Site, tmp_path: Path
) -> None:
    foreign = Site(tmp_path / "foreign")
    assert call("echoscu", archive, "+tla", "+cf", site.ca).returncode != 0
    refused(archive, "sent no certificate")
    assert call("echoscu", archive, *secured(site, foreign.ct1)).returncode != 0
    refused(archive, "unable to get local issuer certificate")
    assert call("echoscu", archive, *secured(foreign, site.ct1)).returncode != 0
    refused(archive, "does not trust the issuer")
    assert call("echoscu", archive, *secured(site, site.mr2)).returncode != 0
    refused(archive, "another certificate")
    assert call("echoscu", archive, *secured(site, site.ct1)).returncode == 0


def test_a_node_that_has_to_name_a_user_does(archive: Archive, site: Site) -> None:
    own = secured(site, site.mr2)

    def store(*identity: str) -> subprocess.CompletedProcess[str]:
        return call("storescu", archive, *own, *identity, title="MR2", file=True)

    assert store().returncode != 0
    refused(archive, "named no user, and this node has to (user identity)")
    assert store("-usr", "ada", "-pwd", "wrong").returncode != 0
    refused(archive, "user identity: user or password is wrong")
    result = store("-usr", "ada", "-pwd", PASSWORD, "-rsp")
    assert result.returncode == 0, result.stderr
    eventually(lambda: any(row.user == "ada" for row in archive.records()))
    assert store("-usr", "ada", "-rsp").returncode == 0  # vouched for by the node's certificate
    assert store("-usr", "nobody").returncode != 0
