"""Ports for programs under test, which nobody else is given meanwhile."""

import socket
from collections import deque

KEPT: deque[socket.socket] = deque(maxlen=200)
"""Bound, never listening: the system gives none of them away, and lets a program that asks for one by name have it."""


def free_port() -> int:
    """A port nobody listens on, and that stays so until a program takes it."""
    return _keep(0)


def two_free_ports() -> int:
    """The first of two such ports that follow each other."""
    while True:
        port = free_port()
        try:
            _keep(port + 1)
        except (OSError, OverflowError):
            continue
        return port


def _keep(port: int) -> int:
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Programs of several processes share their ports by this one.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", port))
    except BaseException:
        holder.close()
        raise
    KEPT.append(holder)
    return int(holder.getsockname()[1])
