"""The ladder on archives of others, and their lists of nodes as they read them themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.interop.dcmqrscp import TITLE, running_dcmqrscp
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.interop.samples import Certificates
from tuipacs.certificates.checking import TlsFiles
from tuipacs.certificates.reading import facts_of, read_certificates
from tuipacs.client.node_files import read_files
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.node_files.formats import Format, parse
from tuipacs.domain.node_health import Rung, Verdict
from tuipacs.index.database import Index
from tuipacs.services.calling import Calling
from tuipacs.services.node_test import climb

PASSED, SKIPPED, FAILED = Verdict.PASSED, Verdict.SKIPPED, Verdict.FAILED
MODALITIES = {
    "list": ["LIST", "192.0.2.1", 104],
    "vendor": ["VENDOR", "192.0.2.2", 104, "GE"],
    "object": {
        **{"AET": "OBJECT", "Host": "192.0.2.3", "Port": 11112, "AllowFind": False},
        **{"AllowMove": False, "AllowStorageCommitment": False, "Timeout": 42, "LocalAet": "ME"},
    },
    "named": {"AET": "NAMED", "Host": "pacs.example.org", "Port": 104, "UseDicomTls": True},
}


@pytest.fixture(scope="module")
def orthanc(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Orthanc]:
    """It wants TLS, and our certificate; and knows `MODALITIES`."""
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsRemoteCertificateRequired": True,
        "DicomTlsCertificate": str(certificates.client.certificate),
        "DicomTlsPrivateKey": str(certificates.client.key),
        "DicomTlsTrustedCertificates": str(certificates.authority),
        "DicomAlwaysAllowFind": True,
        "DicomModalities": MODALITIES,
    }
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), settings) as running:
        yield running


def node(title: str, port: int, *services: CallService, **changes: object) -> NodeRecord:
    call = NodeCall(host="127.0.0.1", port=port, services=services, use_tls=bool(changes))
    plain = NodeRecord(
        key=1, ae_title=title, address="", services=(), description="", created_at=0.0, call=call
    )
    return msgspec.structs.replace(plain, **changes)


def verdicts(wanted: NodeRecord, calling: Calling) -> dict[Rung, Verdict]:
    return {rung.rung: rung.verdict for rung in climb(wanted, calling, lambda _: None)}


@pytest.mark.orthanc
def test_the_ladder_holds_on_an_orthanc_with_tls(
    orthanc: Orthanc, certificates: Certificates, tmp_path: Path
) -> None:
    ours = certificates.archive
    files = TlsFiles(ours.certificate, ours.key, certificates.authority)
    calling = Calling(Index(tmp_path / "index.db"), "TUIPACS", files)
    own = facts_of(read_certificates(certificates.client.certificate)[0]).sha256
    wanted = node("ORTHANC", orthanc.dicom_port, *CallService, certificate_sha256=own)
    assert verdicts(wanted, calling) == dict.fromkeys(Rung, PASSED)
    in_clear = msgspec.structs.replace(
        wanted, call=msgspec.structs.replace(wanted.call, use_tls=False)
    )
    assert verdicts(in_clear, calling)[Rung.ASSOCIATION] is FAILED
    strange = msgspec.structs.replace(wanted, certificate_sha256="ab" * 32)
    assert verdicts(strange, calling)[Rung.TLS] is FAILED


@pytest.mark.orthanc
def test_orthancs_configuration_is_read_as_orthanc_reads_it(orthanc: Orthanc) -> None:
    """Its REST API tells what it made of each entry, with every right."""
    ours = parse(json.dumps({"DicomModalities": MODALITIES}), Format.ORTHANC)
    told = orthanc.ask("GET", "/modalities?expand")
    theirs = parse(json.dumps(told), Format.ORTHANC)
    ours_by_name = {entry.entry: entry for entry in ours.nodes}
    assert {entry.entry for entry in theirs.nodes} == MODALITIES.keys() == ours_by_name.keys()
    for entry in theirs.nodes:
        mine = ours_by_name[entry.entry]
        same = (mine.ae_title, mine.address, mine.services, mine.call, mine.description)
        told_node = (entry.ae_title, entry.address, entry.services, entry.call, entry.description)
        assert same == told_node


@pytest.mark.dcmtk
def test_the_ladder_on_dcmqrscp_tells_what_it_does_not_do(tmp_path: Path) -> None:
    calling = Calling(Index(tmp_path / "index.db"), "TUIPACS", None)
    with running_dcmqrscp(tmp_path / "qr", ("TUIPACS", 11112)) as port:
        rungs = climb(node(TITLE, port, *CallService), calling, lambda _: None)
        assert [rung.verdict for rung in rungs] == [PASSED, SKIPPED, PASSED, PASSED, PASSED]
        assert rungs[2].notes[0] == "takes echo, send, query, move, get"
        assert rungs[2].notes[1].startswith("refuses commit, Storage Commitment Push Model")
        wrong = climb(node("WRONG", port, CallService.ECHO), calling, lambda _: None)
        assert "called AE title not recognised" in wrong[2].words
    found = read_files([tmp_path / "qr" / "dcmqrscp.cfg"], None)
    assert [(n.ae_title, n.call.port) for n in found.nodes] == [("TUIPACS", 11112)]
