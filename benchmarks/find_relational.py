"""Relational C-FIND over one association, by pynetdicom: findscu cannot negotiate it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

_PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
_UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_BY = ("SOPInstanceUID", "PatientID", "AccessionNumber", "StudyInstanceUID")


def ask_across_levels(port: int, title: str, some: Sequence[Dataset], queries: int) -> int:
    """Ask for one of ``some`` at each level by each of a few keys in turn; returns the answers."""
    negotiation = SOPClassExtendedNegotiation()
    negotiation.sop_class_uid = _PATIENT_ROOT
    negotiation.service_class_application_information = b"\1"
    entity = AE(ae_title=title)
    entity.add_requested_context(_PATIENT_ROOT, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="TUIPACS", ext_neg=[negotiation])
    rng = random.Random(7)
    found = 0
    for number in range(queries):
        level = list(_UNIQUE)[number % 4]
        by = _BY[number // 4 % 4]
        wanted = Dataset()
        wanted.QueryRetrieveLevel = level
        setattr(wanted, _UNIQUE[level], "")
        setattr(wanted, by, rng.choice(some)[by].value)
        answers = list(association.send_c_find(wanted, _PATIENT_ROOT))
        if not answers or answers[-1][0].get("Status") != 0:
            raise SystemExit(f"a query across levels failed: {answers[-1:]}")
        found += len(answers) - 1
    association.release()
    return found
