"""Knows users by their passwords, of which it keeps slow hashes; whoever guesses is made to wait."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

import argon2
import structlog
from argon2.exceptions import InvalidHashError, VerificationError

from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse

AT_ONCE: Final = 2
"""Passwords being checked: each costs tens of milliseconds of a processor, and 64 MiB."""

WAITING: Final = 32
"""Further ones that wait for that; more are refused."""

FAILURES: Final = 10
PERIOD: Final = 60.0
"""So many wrong passwords in so many seconds, and the user has to wait. Users that do not exist count as one."""

_log = structlog.get_logger("jobyard.callers")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    principal: Principal
    hash: str


def check_hash(text: str) -> None:
    """Raise ValueError for what is no hash of argon2."""
    try:
        argon2.extract_parameters(text)
    except InvalidHashError:
        raise ValueError("the password has to be a hash that `jobyard token password` prints") from None


def hash_password(password: str) -> str:
    """What the settings keep of a password."""
    return argon2.PasswordHasher().hash(password)


class Passwords:
    """The users of a server, and whether a password is that of one."""

    def __init__(self, users: Mapping[str, User], clock: Callable[[], float] = monotonic) -> None:
        """Take the users by name."""
        self._users = users
        self._clock = clock
        self._hasher = argon2.PasswordHasher()
        # Checked for users that do not exist, so that the time of an answer does not tell them from others.
        self._nobody = self._hasher.hash(secrets.token_urlsafe()) if users else ""
        self._failures: dict[str, deque[float]] = {}
        self._checking = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def check(self, name: str, password: str) -> Principal:
        """The user of a name who knows his password; raises Refused."""
        user = self._users.get(name)
        failures = self._failures.setdefault(name if user is not None else "", deque(maxlen=FAILURES))
        self._make_wait(failures)
        right = await self._verify(self._nobody if user is None else user.hash, password)
        if user is None or not right:
            failures.append(self._clock())
            _log.warning("login refused", user=name if user is not None else None)
            raise refuse(Reason.CREDENTIALS_INVALID, "The user is unknown or the password is wrong.")
        return user.principal

    def _make_wait(self, failures: deque[float]) -> None:
        rest = failures[0] + PERIOD - self._clock() if len(failures) == FAILURES else 0.0
        if rest > 0:
            message = "There were too many wrong passwords. Wait before the next attempt."
            raise Refused(Refusal(Reason.TOO_MANY_REQUESTS, message, retry_after=rest))

    async def _verify(self, hash_: str, password: str) -> bool:
        if not hash_:
            return False
        if self._waiting >= WAITING:
            raise Refused(Refusal(Reason.OVERLOADED, "Too many users log in at once.", retry_after=1.0))
        self._waiting += 1
        try:
            async with self._checking:
                return await asyncio.to_thread(self._matches, hash_, password)
        finally:
            self._waiting -= 1

    def _matches(self, hash_: str, password: str) -> bool:
        try:
            return self._hasher.verify(hash_, password)
        except VerificationError:
            return False
