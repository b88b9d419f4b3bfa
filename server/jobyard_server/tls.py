"""Certificate files of the server, read again when they change, as gRPC and as HTTP want them."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import grpc
import structlog

LOOK_SECONDS: Final = 1.0
"""How often the files are looked at, at most; they are only looked at when somebody connects."""

_log = structlog.get_logger("jobyard.tls")


class CertificateError(Exception):
    """Files that nobody can be served with; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Material:
    """What the files held at one time."""

    pair: grpc.ServerCertificateConfiguration
    context: ssl.SSLContext


class CertificateFiles:
    """The certificate of the server with its key, and the authorities whose clients it lets in.

    gRPC asks from threads of its own, so there is a lock.
    """

    def __init__(self, certificate: Path, key: Path, client_authorities: Path | None = None) -> None:
        """Read the files; raises CertificateError."""
        self._certificate = certificate
        self._key = key
        self._authorities = client_authorities
        self._lock = threading.Lock()
        self._looked = monotonic()
        self._versions = self._look_at()
        self._material = self._read()
        self._shown: Material | None = self._material

    def http(self) -> ssl.SSLContext:
        """A context for a listener; what connects later is served with what the files hold then."""
        first = self._read().context

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._now().context

        first.sni_callback = choose  # called for clients that name no server, too
        return first

    def rpc(self) -> grpc.ServerCredentials:
        """Credentials for a port of gRPC, which speaks TLS 1.2 and newer."""
        return grpc.dynamic_ssl_server_credentials(
            self._material.pair,
            self._changed,  # type: ignore[arg-type]  # None is what its documentation wants for no change
            require_client_authentication=self._authorities is not None,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC has not been shown yet."""
        material = self._now()
        with self._lock:
            if material is self._shown:
                return None
            self._shown = material
        return material.pair

    def _now(self) -> Material:
        """What the files hold; files that cannot be used change nothing but the log."""
        with self._lock:
            if monotonic() - self._looked < LOOK_SECONDS:
                return self._material
            self._looked = monotonic()
            versions = self._look_at()
            if versions != self._versions:
                self._versions = versions
                try:
                    self._material = self._read()
                except CertificateError as problem:
                    _log.error("certificates not reloaded", problem=str(problem))
                else:
                    _log.info("certificates reloaded", file=str(self._certificate))
            return self._material

    def _look_at(self) -> tuple[object, ...]:
        return tuple(_version(file) for file in (self._certificate, self._key, self._authorities) if file is not None)

    def _read(self) -> Material:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        file = self._certificate
        try:
            # Without a password OpenSSL would ask whoever sits at the terminal for one.
            context.load_cert_chain(file, self._key, password=lambda: "")
            chain, key = file.read_bytes(), self._key.read_bytes()
            authorities = None
            if self._authorities is not None:
                file = self._authorities
                authorities = file.read_bytes()
                context.load_verify_locations(file)
                _ask_clients(context)
        except (OSError, ValueError) as problem:  # what ssl raises is an OSError
            raise CertificateError(f"{file}: {problem}") from None
        return Material(grpc.ssl_server_certificate_configuration([(key, chain)], authorities), context)


def _ask_clients(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    # A resumed session would not be asked again, though its authority may be gone since.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
