"""One of several processes that serve together: what runs in it, and what it says to the one that keeps it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server import loading
from jobyard_server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@dataclass(frozen=True, slots=True)
class Ready:
    """What a process says when it serves."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What a process says that cannot serve with the settings it was given."""

    problem: str


class _Parentage:
    """The parent, as a process sees it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def tell_ready(self) -> None:
        self._pipe.send(Ready())

    def fileno(self) -> int:
        return self._pipe.fileno()


def serve(settings: Settings, parent: Connection) -> None:
    """Be one of the processes."""
    loading.begin()
    from jobyard_server import running  # noqa: PLC0415 - the parent serves nothing, and stays small without it

    # The terminal's signals are for the parent, which passes on what is to be done.
    os.setpgid(0, 0)
    try:
        code = running.run(settings, _Parentage(parent))
    except SettingsError as problem:
        parent.send(Refused(str(problem)))
        code = 1
    raise SystemExit(code)
