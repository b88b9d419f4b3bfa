"""Asks everybody who can tell whose a credential is, and refuses what nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, refuse

ANONYMOUS: Final = "anonymous"


class Verifier(Protocol):
    """One way of proving who is calling."""

    async def verify(self, credential: Credential) -> Principal | None:
        """The caller it belongs to; ``None`` for a credential that is not known here."""


class Authentication(Protocol):
    """What the edge asks, once for every call."""

    async def authenticate(self, credential: Credential | None) -> Principal:
        """The caller; raises ``Refused`` for a credential that is wrong. Without any: the anonymous one."""


class Verified:
    """Callers prove who they are to one of several verifiers."""

    def __init__(self, verifiers: Sequence[Verifier], nobody: Principal) -> None:
        """Take the ways of proving, and the caller who shows nothing."""
        self._verifiers = tuple(verifiers)
        self._nobody = nobody

    async def authenticate(self, credential: Credential | None) -> Principal:
        """Ask the verifiers in their order."""
        if credential is None:
            return self._nobody
        for verifier in self._verifiers:
            if (principal := await verifier.verify(credential)) is not None:
                return principal
        if credential.kind is Kind.CERTIFICATE:
            # It let the connection in; who the caller is has to be shown otherwise.
            return self._nobody
        raise refuse(Reason.CREDENTIALS_INVALID, "The credentials are unknown or have expired.")


class Unguarded:
    """Everybody may do everything: for a server that only its own machine can reach."""

    def __init__(self, tenant: str) -> None:
        self._everybody = Principal(user=ANONYMOUS, tenant=tenant, permissions=frozenset({"*"}))

    async def authenticate(self, credential: Credential | None) -> Principal:  # noqa: ARG002 - clients send some anyway
        """Take the caller as it comes."""
        return self._everybody
