"""The commands that make, show and revoke tokens. They work on the file, so the server need not run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobyard_server.cli.errors import CommandError, UsageError
from jobyard_server.cli.form import Form
from jobyard_server.cli.options import Output

if TYPE_CHECKING:
    from jobyard_server.callers.token_file import Entry

app = typer.Typer(
    name="token", help="Make, show and revoke the tokens that callers of a server show.", no_args_is_help=True
)

File = Annotated[
    Path,
    typer.Option("--file", "-f", envvar="JOBYARD_AUTH_TOKENS", metavar="FILE", help="The file of tokens."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the token is called; unique in the file.")]

HEADINGS: Final = ("NAME", "USER", "TENANT", "ROLES", "PERMISSIONS", "QUEUES", "EXPIRES")


@app.command()
def create(
    *,
    name: Name,
    file: File,
    user: Annotated[str, typer.Option(help="Who holds it; the name unless given.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose jobs it reaches; the server's default unless given.")] = "",
    role: Annotated[list[str] | None, typer.Option("--role", "-r", help="What it may do; repeatable.")] = None,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", "-p", help="What else it may do; repeatable.")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", "-q", help="A queue it may work for; repeatable, any unless given.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends: 90d, 12h, or a date such as 2027-01-31.")
    ] = None,
) -> None:
    """Make a token and print it. It cannot be shown again: the file keeps only its digest.

    Roles for the jobs API: operator, viewer, worker; admin may do everything. Other APIs have others.
    """
    from jobyard_server.callers import token_file

    entry = token_file.Entry(
        name=name,
        sha256="",
        user=user or name,
        tenant=tenant,
        roles=tuple(role or ()),
        permissions=tuple(permission or ()),
        queues=tuple(queue or ()),
        expires=_moment(expires) if expires else None,
    )
    try:
        token = token_file.create(file, entry)
    except (token_file.TokenFileError, OSError) as problem:
        raise CommandError(str(problem)) from None
    _warn_of_roles(entry.roles)
    print(token)
    print(f"token {name} added to {file}; a running server knows it within a second", file=sys.stderr)


@app.command()
def password() -> None:
    """Read a password and print the hash that the setting auth_users wants of it."""
    from jobyard_server.callers.passwords import hash_password

    if sys.stdin.isatty():
        said: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        said = sys.stdin.readline().rstrip("\n")
    if not said:
        raise CommandError("there is no password", "write it on standard input")
    print(hash_password(said))


@app.command("list")
def list_(*, file: File, output: Output = Form.TABLE) -> None:
    """Show the tokens of a file, without the tokens."""
    from jobyard_server.callers import token_file
    from jobyard_server.cli.printing import print_rows

    if not file.exists():
        raise CommandError(f"{file}: there is no such file")
    try:
        entries = token_file.read(file)
    except token_file.TokenFileError as problem:
        raise CommandError(str(problem)) from None
    match output:
        case Form.NAME:
            for entry in entries:
                print(entry.name)
        case Form.JSON | Form.JSONL:
            rows = [{key: value for key, value in asdict(entry).items() if key != "sha256"} for entry in entries]
            for row in [rows] if output is Form.JSON else rows:
                print(json.dumps(row, default=str))
        case Form.TABLE:
            print_rows(HEADINGS, [_row(entry, datetime.now(UTC)) for entry in entries])


@app.command()
def revoke(*, name: Name, file: File) -> None:
    """Take a token out of the file; a running server refuses it within a second."""
    from jobyard_server.callers import token_file

    try:
        token_file.revoke(file, name)
    except (token_file.TokenFileError, OSError) as problem:
        raise CommandError(str(problem)) from None
    print(f"token {name} revoked", file=sys.stderr)


def _warn_of_roles(roles: Sequence[str]) -> None:
    """Say which roles nobody declares here; a server may have others by its settings."""
    if not roles:
        return
    from jobyard_server.callers.roles import BUILT_IN
    from jobyard_server.main import APIS
    from jobyard_server.settings import SettingsError, load

    known = {*BUILT_IN, *(role for api in APIS for role in api.roles)}
    # Whoever makes tokens need not be able to run the server.
    with suppress(SettingsError):
        known |= load().roles.keys()
    for role in roles:
        if role not in known:
            print(
                f"warning: there is no role {role} here, and a server without it leaves the token out; "
                f"there are {', '.join(sorted(known))}",
                file=sys.stderr,
            )


def _moment(text: str) -> datetime:
    """A time said as a span from now, or as a date."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    if text[:-1].isdecimal() and text[-1] in units:
        return (datetime.now(UTC) + timedelta(**{units[text[-1]]: int(text[:-1])})).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text!r} is no time", "write 90d, 12h, 2027-01-31 or 2027-01-31T18:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row(entry: Entry, now: datetime) -> tuple[str, ...]:
    expires = "never" if entry.expires is None else f"{entry.expires:%Y-%m-%d %H:%M}Z"
    if entry.expired(now):
        expires += " (expired)"
    words = (", ".join(each) or "-" for each in (entry.roles, entry.permissions, entry.queues))
    return (entry.name, entry.user, entry.tenant or "-", *words, expires)
