"""Runs what a command does against the server it is told of."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobyard_server.cli.session import Session


def with_session(server: str, work: Callable[[Session], Coroutine[Any, Any, Any]]) -> Any:
    """Run a command against a server."""
    # gRPC is loaded here: `--help` can do without.
    from jobyard_server.cli.session import execute
    from jobyard_server.client.channel import from_environment

    return execute(lambda: from_environment({**os.environ, "JOBYARD_SERVER": server}), work)
