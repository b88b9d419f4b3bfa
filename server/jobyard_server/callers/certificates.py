"""Knows callers by the certificates their connections are made with, which the transport has verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.domain.principal import Principal


@dataclass(frozen=True, slots=True)
class Shown:
    """What is of interest in a certificate."""

    names: tuple[str, ...]
    """``dns:worker.example``, ``uri:spiffe://...``, ``email:a@b``, ``ip:10.0.0.1``, last ``subject:CN=a,O=b``."""
    begins: datetime
    ends: datetime


class CertificateVerifier:
    """Answers for certificates."""

    def __init__(
        self, holders: Mapping[str, Principal], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Take the callers by a name in their certificates."""
        self._holders = holders
        self._now = now

    async def verify(self, credential: Credential) -> Principal | None:
        """The caller that a name of the certificate belongs to."""
        if credential.kind is not Kind.CERTIFICATE:
            return None
        shown = read(credential.value)
        # The transport looked when the connection was made, which may be long ago.
        if not shown.begins <= self._now() < shown.ends:
            return None
        return next((self._holders[name] for name in shown.names if name in self._holders), None)


@lru_cache(maxsize=1024)
def read(pem: str) -> Shown:
    """What a certificate says; every call of a connection shows the same one, so it is kept."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = (*_alternative(certificate), f"subject:{certificate.subject.rfc4514_string()}")
    return Shown(names, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _alternative(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        match name:
            case x509.DNSName(value=value):
                yield f"dns:{value}"
            case x509.UniformResourceIdentifier(value=value):
                yield f"uri:{value}"
            case x509.RFC822Name(value=value):
                yield f"email:{value}"
            case x509.IPAddress(value=address):
                yield f"ip:{address}"
