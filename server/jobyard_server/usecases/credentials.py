"""Credentials that a caller forwards: sealed while they wait in the store, and worthless after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros
    from jobyard_server.domain.signing import Signer

_PURPOSE: Final = "credential"


def seal_credential(signer: Signer, credential: str, expires_at: Micros) -> str:
    """A credential as it is kept with a delivery; nobody reads it without the key, and not after ``expires_at``."""
    return signer.seal(_PURPOSE, [credential, expires_at]) if credential else ""


def open_credential(signer: Signer, sealed: str, now: Micros) -> str:
    """The credential in clear; empty when there is none, it was damaged, or its time is over."""
    try:
        credential, expires_at = signer.open(_PURPOSE, sealed)
    except ValueError:
        return ""
    return str(credential) if isinstance(expires_at, int) and now < expires_at else ""


_SECRET: Final = "secret"  # noqa: S105 - what is sealed, not a secret


def seal_secret(signer: Signer, secret: str) -> str:
    """A lasting secret as it is kept."""
    return signer.seal(_SECRET, [secret])


def open_secret(signer: Signer, sealed: str) -> str:
    """The secret in clear; ``ValueError`` when it was not sealed here."""
    (secret,) = signer.open(_SECRET, sealed)
    return str(secret)
