"""The addresses a server listens at: taken, shared between processes, and told to whoever waits for them."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Final

import structlog

from jobyard_server.banner import banner
from jobyard_server.settings import Settings, SettingsError

ENDED_BY_SIGNAL: Final = 130
"""The exit code of a server that was told twice to stop."""

_log = structlog.get_logger("jobyard.server")


def bound(name: str, address: str, *, shared: bool) -> socket.socket:
    """A socket at an address of the settings, which other processes of this server may share."""
    host, _, port = address.rpartition(":")
    try:
        family, *_, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        # With the protocol spelled out, asyncio turns Nagle's algorithm off on every connection; without it an answer
        # in two packets waits 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as problem:
        raise SettingsError(f"{name}: cannot listen on {address}: {problem.strerror}") from None
    return listener


def with_port(address: str, port: int) -> str:
    """The address with the port it got."""
    return f"{address.rpartition(':')[0]}:{port}"


def say_where(settings: Settings, grpc_at: str, rest_at: str, seconds: float) -> None:
    """Tell whoever waits for it that calls are served now, and at which addresses."""
    _log.info("ready", grpc=grpc_at, rest=rest_at, seconds=round(seconds, 3))
    if settings.dev:
        print(banner(grpc_at, rest_at), flush=True)  # noqa: T201 - it is for the person at the terminal
    if settings.ready_file is not None:
        _write_in_one_step(settings.ready_file, json.dumps({"grpc": grpc_at, "rest": rest_at}))


def _write_in_one_step(file: Path, text: str) -> None:
    """Whoever waits for the file finds all of it or nothing."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)
