"""Who may do what: the one permission matrix.

Everything not marked ``yes`` is refused. A role or permission without a cell is an error at import,
so a new permission cannot be forgotten for any role.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """Roles of people and machine accounts that log in."""

    VIEWER = "viewer"
    TECHNOLOGIST = "technologist"
    RADIOLOGIST = "radiologist"
    ADMIN = "admin"
    AUDITOR = "auditor"
    SERVICE = "service"


class Permission(StrEnum):
    """One right; every service method demands exactly one."""

    OWN_SESSION = "own-session"
    BROWSE = "browse"
    VIEW_OBJECTS = "view-objects"
    EXPORT = "export"
    IMPORT = "import"
    SEND = "send"
    QUERY_NODES = "query-nodes"
    RETRIEVE = "retrieve"
    COMMIT = "commit"
    VIEW_INCOMING = "view-incoming"
    VIEW_JOBS = "view-jobs"
    CONTROL_JOBS = "control-jobs"
    VIEW_NODES = "view-nodes"
    MANAGE_NODES = "manage-nodes"
    VIEW_ROUTES = "view-routes"
    MANAGE_ROUTES = "manage-routes"
    MANAGE_USERS = "manage-users"
    READ_AUDIT = "read-audit"
    VIEW_SYSTEM = "view-system"
    STOP_ARCHIVE = "stop-archive"
    DICOM_ECHO = "dicom-echo"
    DICOM_STORE = "dicom-store"
    DICOM_QUERY = "dicom-query"
    DICOM_MOVE = "dicom-move"
    DICOM_GET = "dicom-get"
    DICOM_COMMIT = "dicom-commit"
    DICOM_REPORT = "dicom-report"


_TABLE = """
permission     viewer  technologist  radiologist  admin  auditor  service
own-session    yes     yes           yes          yes    yes      yes
browse         yes     yes           yes          yes    no       yes
view-objects   yes     yes           yes          yes    no       yes
export         no      yes           yes          yes    no       yes
import         no      yes           no           yes    no       yes
send           no      yes           yes          yes    no       yes
query-nodes    no      yes           yes          yes    no       yes
retrieve       no      yes           yes          yes    no       yes
commit         no      yes           yes          yes    no       yes
view-incoming  no      yes           yes          yes    no       no
view-jobs      no      yes           yes          yes    no       yes
control-jobs   no      yes           no           yes    no       yes
view-nodes     no      yes           yes          yes    no       no
manage-nodes   no      no            no           yes    no       no
view-routes    no      yes           yes          yes    no       no
manage-routes  no      no            no           yes    no       no
manage-users   no      no            no           yes    no       no
read-audit     no      no            no           yes    yes      no
view-system    no      yes           yes          yes    yes      yes
stop-archive   no      no            no           yes    no       no
dicom-echo     no      no            no           no     no       no
dicom-store    no      no            no           no     no       no
dicom-query    no      no            no           no     no       no
dicom-move     no      no            no           no     no       no
dicom-get      no      no            no           no     no       no
dicom-commit   no      no            no           no     no       no
dicom-report   no      no            no           no     no       no
"""
# The dicom-* rights belong to DICOM peers alone: from the node table, never from a login.


def _parse(table: str) -> Mapping[Role, frozenset[Permission]]:
    header, *rows = [line.split() for line in table.strip().splitlines()]
    roles = [Role(name) for name in header[1:]]
    if set(roles) != set(Role) or {row[0] for row in rows} != set(Permission):
        raise ValueError("the permission matrix lacks a role or a permission")
    granted: dict[Role, set[Permission]] = {role: set() for role in roles}
    for name, *cells in rows:
        for role, cell in zip(roles, cells, strict=True):
            if cell not in ("yes", "no"):
                raise ValueError(f"cell {name}/{role} is neither yes nor no")
            if cell == "yes":
                granted[role].add(Permission(name))
    return MappingProxyType({role: frozenset(rights) for role, rights in granted.items()})


MATRIX: Mapping[Role, frozenset[Permission]] = _parse(_TABLE)


class NodeService(StrEnum):
    """DIMSE services that a known node may be allowed to use here.

    REPORT, the answer to a storage commitment that we asked for, is nobody's to give: it comes with
    asking that node at all.
    """

    ECHO = "echo"
    STORE = "store"
    QUERY = "query"
    MOVE = "move"
    GET = "get"
    COMMIT = "commit"
    REPORT = "report"


NODE_RIGHTS: Mapping[NodeService, Permission] = MappingProxyType(
    {
        NodeService.ECHO: Permission.DICOM_ECHO,
        NodeService.STORE: Permission.DICOM_STORE,
        NodeService.QUERY: Permission.DICOM_QUERY,
        NodeService.MOVE: Permission.DICOM_MOVE,
        NodeService.GET: Permission.DICOM_GET,
        NodeService.COMMIT: Permission.DICOM_COMMIT,
        NodeService.REPORT: Permission.DICOM_REPORT,
    }
)

GIVEN_SERVICES = tuple(service for service in NodeService if service is not NodeService.REPORT)
"""Those that an administrator gives to a node."""


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that hold ``permission``, in the order of ``Role``."""
    return tuple(role for role in Role if permission in MATRIX[role])
