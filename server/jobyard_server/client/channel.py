"""Opens channels to a server: where it is, with TLS or without, and with which token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import grpc

DEFAULT_SERVER: Final = "127.0.0.1:50051"
MESSAGE_BYTES: Final = 32 * 1024 * 1024

_OPTIONS: Final = (
    # A server that restarts is found again within seconds, not minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
)


class AddressError(ValueError):
    """The address of the server cannot be read."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and how it is spoken to."""

    target: str
    """``host:port``."""
    tls: bool = False
    ca: Path | None = None
    """Certificates to trust instead of the usual ones."""
    token: str = ""
    pair: tuple[Path, Path] | None = None
    """Certificate and key to show, where the server asks for them."""

    @classmethod
    def of(cls, server: str, token: str = "", ca: Path | None = None, pair: tuple[Path, Path] | None = None) -> Address:
        """Read ``host:port`` or ``https://host:port``; ``http://`` says that there is no TLS."""
        parts = urlsplit(server if "://" in server else f"http://{server}")
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port is None or parts.path.strip("/"):
            raise AddressError(f"{server!r} is not the address of a server; write host:port or https://host:port")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{host}:{port}", tls=parts.scheme == "https", ca=ca, token=token, pair=pair)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes along with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def open(self) -> grpc.aio.Channel:
        """Open a channel; nothing is sent before the first call."""
        options = list(_OPTIONS)
        if not self.tls:
            return grpc.aio.insecure_channel(self.target, options=options)
        roots = self.ca.read_bytes() if self.ca is not None else None
        chain, key = (each.read_bytes() for each in self.pair) if self.pair is not None else (None, None)
        credentials = grpc.ssl_channel_credentials(roots, key, chain)
        return grpc.aio.secure_channel(self.target, credentials, options=options)


def from_environment(environment: Mapping[str, str] = os.environ) -> Address:
    """The server that ``JOBYARD_SERVER`` names, what ``JOBYARD_CA`` trusts, and what else is shown to it."""
    ca, chain, key = (environment.get(f"JOBYARD_{name}") for name in ("CA", "CERTIFICATE", "KEY"))
    return Address.of(
        environment.get("JOBYARD_SERVER", DEFAULT_SERVER),
        environment.get("JOBYARD_TOKEN", ""),
        Path(ca) if ca else None,
        (Path(chain), Path(key)) if chain and key else None,
    )
