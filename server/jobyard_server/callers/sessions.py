"""Tokens given to those who came with a password: sealed, good for a while, and for every process on one database."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from time import time
from typing import Final

from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.passwords import Passwords, User
from jobyard_server.callers.token_file import MARK
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.signing import Signer

_PURPOSE: Final = "session"


class Sessions:
    """The sessions of users. One ends with its time, with its user, and when the user gets another password."""

    def __init__(
        self,
        users: Mapping[str, User],
        seconds: float,
        signer: Callable[[], Signer],
        clock: Callable[[], float] = time,
    ) -> None:
        """Take the users by name, how long a session lives, and what seals."""
        self.seconds = seconds
        self._users = users
        self._signer = signer
        self._clock = clock
        self._marks = {name: hashlib.sha256(user.hash.encode()).hexdigest()[:16] for name, user in users.items()}

    def begin(self, name: str) -> str:
        """A token for a user who has proved who he is."""
        until = round(self._clock() + self.seconds, 3)
        return MARK + self._signer().seal(_PURPOSE, [name, until, self._marks[name], secrets.token_hex(8)])

    async def verify(self, credential: Credential) -> Principal | None:
        """The user to whom a token was given."""
        if credential.kind is not Kind.TOKEN or not credential.value.startswith(MARK):
            return None
        try:
            name, until, mark, _ = self._signer().open(_PURPOSE, credential.value.removeprefix(MARK))
        except ValueError:
            return None
        user = self._users.get(str(name))
        if user is None or mark != self._marks[str(name)] or not isinstance(until, (int, float)):
            return None
        return user.principal if self._clock() < until else None


class PasswordLogin:
    """Gives tokens to users who come with their password."""

    def __init__(self, passwords: Passwords, sessions: Sessions) -> None:
        """Take who knows the users, and what gives them tokens."""
        self._passwords = passwords
        self._sessions = sessions

    async def __call__(self, name: str, password: str) -> tuple[str, float]:
        """A token and for how many seconds it is good; raises Refused."""
        await self._passwords.check(name, password)
        return self._sessions.begin(name), self._sessions.seconds
