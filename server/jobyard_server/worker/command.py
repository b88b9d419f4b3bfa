"""Command lines as operators write them, read into the argv that is run: there is no shell."""

from __future__ import annotations

import shlex
import shutil


class CommandLineError(ValueError):
    """A command line that cannot be run; the text says why."""


def argv_of(command: str) -> tuple[str, ...]:
    """The argv of a command line; nothing in it is expanded."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise CommandLineError(f"{command!r} cannot be read: {error}") from None
    if not argv:
        raise CommandLineError("the command is empty")
    if shutil.which(argv[0]) is None:
        raise CommandLineError(f"there is no program {argv[0]!r}; and no shell, unless the command names one")
    return tuple(argv)
