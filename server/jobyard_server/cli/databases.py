"""The commands that look after a database. They work on it directly, so no server need run."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(name="db", help="Bring the schema of a database up to date, check it, copy it.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--database", envvar="JOBYARD_DATABASE", metavar="URL", help="Where jobs are kept.")]
DEFAULT = "sqlite:///jobyard.db"


@app.command()
def upgrade(*, database: Url = DEFAULT) -> None:
    """Bring the schema up to date. A server does the same when it starts; here it can be done before."""
    from jobyard_server.cli import keeping

    keeping.upgrade(database)


@app.command()
def check(*, database: Url = DEFAULT) -> None:
    """Look whether a database is whole. Servers may go on meanwhile.

    Exit codes: 0 all is well, 1 the schema is another one or rows do not fit together.
    """
    from jobyard_server.cli import keeping

    keeping.check(database)


@app.command()
def migrate(
    *,
    source: Annotated[str, typer.Option("--from", metavar="URL", help="The database to copy: sqlite:///jobyard.db.")],
    target: Annotated[
        str, typer.Option("--to", metavar="URL", help="An empty database of PostgreSQL: postgresql://user@host/name.")
    ],
) -> None:
    """Copy a database into another one, and compare the two row by row.

    Stop the servers of the source before. A copy that was interrupted goes on when the command is run again. What
    identifies the database comes along, so page tokens, watch tokens and idempotency keys stay good.
    """
    from jobyard_server.cli import keeping

    keeping.migrate(source, target)
