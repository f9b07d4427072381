"""`consentry user …`: who may sign in to the server, and as what."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.config import Role
from consentry.people.site import Site
from consentry.server import accounts

_MS_PER_S = 1000

app = typer.Typer(help="Who may sign in to the server, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What they sign in with.")]
RoleArgument = Annotated[Role, typer.Argument(help="What they are here for.")]


@app.command("add")
def add(name: Name, role: RoleArgument, data: DataDir = None, json_out: JsonOut = False) -> None:
    """Add a user and print their random password, once."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        user, password = accounts.add_user(site, name, role, actor=cli_actor())
    if json_out:
        print_json({"id": user.id, "name": user.name, "role": role, "password": password})
    else:
        typer.echo(f"{user.name} signs in as {role} with the password {password} (shown only now)")


@app.command("list")
def list_users(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List all users with their roles."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        listed = accounts.list_accounts(site)
    if json_out:
        fields = ("id", "name", "role", "has_totp")
        print_json(
            [
                {name: value for name, value in asdict(one.user).items() if name in fields}
                | {"is_disabled": one.is_disabled, "created": iso_utc(one.created_unix_ms / _MS_PER_S)}
                for one in listed
            ]
        )
        return
    for one in listed:
        notes = ["disabled"] if one.is_disabled else []
        notes += ["authenticator app"] if one.user.has_totp else []
        notes += [f"by {one.oidc_issuer}"] if one.oidc_issuer else []
        typer.echo("  ".join([one.user.name, one.user.role, *notes]))


@app.command("role")
def role(name: Name, role: RoleArgument, data: DataDir = None) -> None:
    """Give a user another role; their sessions end."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        accounts.change_role(site, _id_of(site, name), role, actor=cli_actor())
    typer.echo(f"{name} is {role} now")


@app.command("disable")
def disable(name: Name, data: DataDir = None) -> None:
    """Let nobody sign in as this user; they stay in the list."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        accounts.set_disabled(site, _id_of(site, name), True, actor=cli_actor())
    typer.echo(f"{name} may not sign in now")


@app.command("enable")
def enable(name: Name, data: DataDir = None) -> None:
    """Let a disabled user sign in again."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        accounts.set_disabled(site, _id_of(site, name), False, actor=cli_actor())
    typer.echo(f"{name} may sign in again")


@app.command("password")
def password(
    name: Name,
    forget_app: Annotated[
        bool, typer.Option("--forget-app", help="Forget their authenticator app too, which they have lost.")
    ] = False,
    data: DataDir = None,
) -> None:
    """Give a user a new random password and print it, once; their sessions end."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        user_id = _id_of(site, name)
        new = accounts.reset_password(site, user_id, actor=cli_actor())
        if forget_app:
            accounts.reset_totp(site, user_id, actor=cli_actor())
    typer.echo(f"{name} signs in with the password {new} (shown only now)")


@app.command("remove")
def remove(name: Name, data: DataDir = None) -> None:
    """Erase a user: name, password and tokens; their sessions end."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        accounts.remove_user(site, _id_of(site, name), actor=cli_actor())
    typer.echo(f"{name} is removed")


def _id_of(site: Site, name: str) -> str:
    return accounts.account_named(site, name).user.id
