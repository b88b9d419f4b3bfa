"""Runs the migrations that a database has not seen yet; loaded where there are some, for its library is large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobyard_server.store.sets import Sets

OLDEST: Final = "oldest_revision"
"""In ``meta``: the oldest revision whose programs work with the schema as it is."""
_REMEMBER: Final = (
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_ASK: Final = "SELECT value FROM meta WHERE name = ?"


class SchemaError(ValueError):
    """The schema of a database is one that this program cannot work with."""


def migrate(connection: Connection, sets: Sets, current: str | None, newest: str) -> None:
    """Bring the schema from a revision to the newest one.

    A schema that is ahead is left alone where it says that programs of our revision work with it: replicas of one
    release are replaced by those of the next one after the other, and any of them may start again meanwhile.
    """
    config = Config()
    config.set_main_option("script_location", "jobyard_server.store:migrations")
    script = ScriptDirectory.from_config(config)
    known = {each.revision for each in script.walk_revisions()}
    if current is None or current in known:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as problem:
            raise SchemaError(str(problem)) from None
        sets.run(_REMEMBER, (OLDEST, script.get_revision("head").module.oldest))
        return
    oldest = next((str(value) for (value,) in sets.all(_ASK, (OLDEST,))), current)
    if oldest not in known:
        raise SchemaError(
            f"its schema is at revision {current}, for programs that know {oldest}; this one knows {newest}"
        )
