"""``tuipacs user``: accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.output import moment, print_json, print_lines, print_table
from tuipacs.cli.session import connected, read_password
from tuipacs.cli.state import JsonOption, PasswordStdinOption
from tuipacs.domain.permissions import Role
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

app = typer.Typer(
    help="Accounts: add, list, role, password, disable, enable.", no_args_is_help=True
)

_ROLES = ", ".join(role.value for role in Role)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
RoleArgument = Annotated[
    Role, typer.Argument(metavar="ROLE", case_sensitive=False, help=f"One of {_ROLES}")
]


@app.command("add")
def add(
    ctx: typer.Context,
    name: NameArgument,
    role: Annotated[
        Role, typer.Option(case_sensitive=False, metavar="ROLE", help=f"One of {_ROLES}")
    ],
    password_stdin: PasswordStdinOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add an account; its password is asked for, or read with --password-stdin."""
    password = read_password(from_stdin=password_stdin, repeat=True)
    with connected(ctx) as connection:
        request = m.UserAddRequest(name=name, role=role, password=password)
        user = connection.call(op.USER_ADD, request)
    if as_json:
        print_json(user)
    else:
        print_lines([f"{user.name} may log in as {user.role.value}"])


@app.command("list")
def list_users(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """All accounts."""
    with connected(ctx) as connection:
        users = connection.call(op.USERS, m.Empty()).users
    if as_json:
        print_json(users)
        return
    print_table(
        ("NAME", "ROLE", "STATE", "LAST LOGIN", "FAILED"),
        (
            (
                user.name,
                user.role.value,
                "disabled" if user.disabled else "active",
                moment(user.last_login_at),
                user.failed_logins,
            )
            for user in users
        ),
    )


@app.command("role")
def role(ctx: typer.Context, name: NameArgument, role: RoleArgument) -> None:
    """Give an account another role; its sessions end."""
    with connected(ctx) as connection:
        user = connection.call(op.USER_ROLE, m.UserRoleRequest(name=name, role=role))
    print_lines([f"{user.name} is {user.role.value} now"])


@app.command("password")
def password(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Another user's; your own if left out")
    ] = None,
    password_stdin: PasswordStdinOption = False,
) -> None:
    """Set a user's password (administrators), or change your own.

    With --password-stdin your own change reads two lines: the old password, then the new one.
    """
    if name is None:
        old = read_password(from_stdin=password_stdin, prompt="Old password")
        new = read_password(from_stdin=password_stdin, prompt="New password", repeat=True)
        with connected(ctx) as connection:
            change = m.ChangePasswordRequest(old_password=old, new_password=new)
            connection.call(op.CHANGE_PASSWORD, change)
        print_lines(["your password is changed"])
        return
    new = read_password(from_stdin=password_stdin, prompt="New password", repeat=True)
    with connected(ctx) as connection:
        connection.call(op.USER_PASSWORD, m.UserPasswordRequest(name=name, password=new))
    print_lines([f"the password of {name} is set; its sessions have ended"])


@app.command("disable")
def disable(ctx: typer.Context, name: NameArgument) -> None:
    """Let an account log in no more; its sessions end."""
    _set_disabled(ctx, name, disabled=True)


@app.command("enable")
def enable(ctx: typer.Context, name: NameArgument) -> None:
    """Let a disabled account log in again."""
    _set_disabled(ctx, name, disabled=False)


def _set_disabled(ctx: typer.Context, name: str, *, disabled: bool) -> None:
    with connected(ctx) as connection:
        request = m.UserDisableRequest(name=name, disabled=disabled)
        user = connection.call(op.USER_DISABLE, request)
    print_lines([f"{user.name} is {'disabled' if user.disabled else 'active'}"])
