"""Who may do what, said a second time: a slip in the table shows here."""

from __future__ import annotations

import pytest

from tuipacs.domain import permissions
from tuipacs.domain.permissions import MATRIX, NODE_RIGHTS, Permission, Role, roles_with

P = Permission
LOOKING = {P.OWN_SESSION, P.BROWSE, P.VIEW_OBJECTS}
WATCHING = {P.VIEW_INCOMING, P.VIEW_JOBS, P.VIEW_NODES, P.VIEW_SYSTEM}
CALLING = {P.SEND, P.QUERY_NODES, P.RETRIEVE, P.COMMIT}
DICOM = {
    P.DICOM_ECHO,
    P.DICOM_STORE,
    P.DICOM_QUERY,
    P.DICOM_MOVE,
    P.DICOM_GET,
    P.DICOM_COMMIT,
    P.DICOM_REPORT,
}

EXPECTED = {
    Role.VIEWER: LOOKING,
    Role.TECHNOLOGIST: (
        LOOKING | WATCHING | CALLING | {P.EXPORT, P.IMPORT, P.CONTROL_JOBS, P.VIEW_ROUTES}
    ),
    Role.RADIOLOGIST: LOOKING | WATCHING | CALLING | {P.EXPORT, P.VIEW_ROUTES},
    Role.ADMIN: set(P) - DICOM,
    Role.AUDITOR: {P.OWN_SESSION, P.READ_AUDIT, P.VIEW_SYSTEM},
    Role.SERVICE: (
        LOOKING | CALLING | {P.EXPORT, P.IMPORT, P.CONTROL_JOBS, P.VIEW_JOBS, P.VIEW_SYSTEM}
    ),
}


@pytest.mark.parametrize("role", Role)
def test_a_role_has_these_rights_and_no_others(role: Role) -> None:
    assert MATRIX[role] == EXPECTED[role]


def test_only_dicom_peers_have_dicom_rights() -> None:
    assert set(NODE_RIGHTS.values()) == DICOM
    assert all(roles_with(right) == () for right in DICOM)


def test_the_matrix_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        MATRIX[Role.VIEWER] = frozenset(P)  # type: ignore[index]


TABLE = permissions._TABLE


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace(
            "export         no      yes           yes          yes    no       yes\n", ""
        ),
        TABLE.replace("  service\n", "\n"),
        TABLE.replace("browse         yes ", "browse         maybe"),
        TABLE.replace("browse         yes ", "browse             "),
        TABLE.replace("browse  ", "browses "),
        TABLE.replace("viewer ", "visitor"),
    ],
    ids=["no row", "no column", "no yes or no", "no cell", "no such right", "no such role"],
)
def test_a_table_with_a_hole_does_not_load(table: str) -> None:
    assert table != TABLE
    with pytest.raises(ValueError):
        permissions._parse(table)
