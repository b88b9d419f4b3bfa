"""The command that runs a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobyard_server import loading
from jobyard_server.cli.errors import CommandError, UsageError
from jobyard_server.settings import SettingsError, load


def serve(config: Path | None, programs: Sequence[str], **given: Any) -> int:
    """Run a server until a signal ends it; the exit code."""
    try:
        settings = load(config, dev_exec=_by_queue(programs), **given)
        loading.begin()
        if settings.processes > 1:
            from jobyard_server import processes  # noqa: PLC0415 - it serves nothing itself, and stays small

            return processes.run(settings)
        from jobyard_server import running  # noqa: PLC0415 - only what serves needs everything

        return running.run(settings)
    except SettingsError as problem:
        first, *more = str(problem).splitlines()
        raise CommandError(first, *more) from None


def _by_queue(programs: Sequence[str]) -> dict[str, str] | None:
    """What --exec says, by queue."""
    found: dict[str, str] = {}
    for program in programs:
        queue, equals, command = program.partition("=")
        if not equals or not queue or " " in queue:
            raise UsageError(f"--exec {program!r} is not QUEUE=CMD", "for example: --exec 'default=python3 work.py'")
        found[queue] = command
    return found or None
