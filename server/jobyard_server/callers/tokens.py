"""Knows callers by the tokens of a file, which is read again when it changes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.roles import RoleError, Roles
from jobyard_server.callers.token_file import Entry, TokenFileError, digest, read
from jobyard_server.domain.principal import Principal

LOOK_SECONDS: Final = 1.0
"""How often the file is looked at, at most. A revoked token works for no longer than this."""

_log = structlog.get_logger("jobyard.callers")


class TokenVerifier:
    """Answers for tokens."""

    def __init__(
        self, file: Path, roles: Roles, tenant: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Read the file; raises TokenFileError for one that cannot be used."""
        self._file = file
        self._roles = roles
        self._tenant = tenant
        self._now = now
        self._looked = monotonic()
        self._version = _version(file)
        if self._version is None:
            _log.warning("file of callers is missing, so nobody is known", file=str(file))
        self._known = {entry.sha256: (entry, self._principal(entry)) for entry in read(file)}

    async def verify(self, credential: Credential) -> Principal | None:
        """The holder of a token."""
        if credential.kind is not Kind.TOKEN:
            return None
        self._look()
        shown = digest(credential.value)
        found = self._known.get(shown)
        if found is None:
            return None
        entry, principal = found
        if not hmac.compare_digest(entry.sha256, shown) or entry.expired(self._now()):
            return None
        return principal

    def _look(self) -> None:
        """Read the file again if it has changed.

        One that cannot be read changes nothing but the log. An entry that cannot be used is left out: a mistake in one
        must not keep another one from being revoked.
        """
        if monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = monotonic()
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            entries = read(self._file)
        except TokenFileError as problem:
            _log.error("file of callers not reloaded", problem=str(problem))
            return
        self._known = {}
        for entry in entries:
            try:
                self._known[entry.sha256] = (entry, self._principal(entry))
            except TokenFileError as problem:
                _log.error("caller left out", problem=str(problem))
        _log.info("file of callers reloaded", file=str(self._file), entries=len(self._known))

    def _principal(self, entry: Entry) -> Principal:
        try:
            permissions = self._roles.permissions(entry.roles) | self._roles.resolve(entry.permissions)
        except RoleError as problem:
            raise TokenFileError(f"{self._file}: token {entry.name}: {problem}") from None
        return Principal(
            user=entry.user,
            tenant=entry.tenant or self._tenant,
            roles=frozenset(entry.roles),
            permissions=permissions,
            queues=frozenset(entry.queues) or None,
        )


def _version(file: Path) -> tuple[int, int, int] | None:
    """What changes with the file; ``None`` while there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
