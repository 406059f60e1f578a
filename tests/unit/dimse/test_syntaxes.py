"""What counts as a storage class and as a transfer syntax."""

from __future__ import annotations

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom import sop_class

from tuipacs.dimse.syntaxes import is_storage_class, is_transfer_syntax, name_of

_OTHER_SERVICES = {
    str(uid)
    for name, table in vars(sop_class).items()
    if name.endswith("_CLASSES")
    and name != "_SERVICE_CLASSES"
    and table is not sop_class._STORAGE_CLASSES
    for uid in table.values()
    if isinstance(uid, str)
} - {str(uid) for uid in sop_class._NON_PATIENT_OBJECT_CLASSES.values()}


def test_every_storage_class_of_pynetdicom_is_one() -> None:
    known = [*sop_class._STORAGE_CLASSES.values(), *sop_class._NON_PATIENT_OBJECT_CLASSES.values()]
    assert [uid for uid in known if not is_storage_class(uid)] == []
    assert len(known) > 150


def test_no_other_service_of_pynetdicom_is_storage() -> None:
    assert [uid for uid in _OTHER_SERVICES if is_storage_class(uid)] == []
    assert len(_OTHER_SERVICES) > 70


def test_every_storage_class_of_the_dictionary_is_one_but_three() -> None:
    """Retired ones too."""
    named = {u for u, entry in UID_dictionary.items() if "Storage" in entry[0]}
    left_out = {u for u in named if not is_storage_class(u) and UID_dictionary[u][1] == "SOP Class"}
    assert left_out == {"1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"}


def test_every_transfer_syntax_of_the_dictionary_is_one_and_nothing_else_of_it() -> None:
    """But those that carry no dataset over DIMSE: MIME and XML (retired), and PS3.22's SMPTE."""
    others = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
    for uid, entry in UID_dictionary.items():
        expected = entry[1] == "Transfer Syntax" and not uid.startswith(others)
        assert is_transfer_syntax(uid) == expected, uid


@pytest.mark.parametrize("uid", ["", " ", "1.2/3", "1.2\\3", "1" * 65, "1.2\x1b", "*", "..", "é"])
def test_what_could_not_be_kept_under_its_name_is_neither(uid: str) -> None:
    assert not is_storage_class(uid)
    assert not is_transfer_syntax(uid)


def test_names_fall_back_to_the_uid() -> None:
    assert name_of("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert name_of("1.2.3") == "1.2.3"
    assert name_of("") == ""
