"""Callers of every kind for a server under test: who may do one thing, all but one, nothing, and who only says so."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2

from jobyard_server.callers.credential import Place
from jobyard_server.callers.token_file import Entry, create

PASSWORD = "everybody's password"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True)
class Shown:
    """What somebody may show: a token, or a name and a password."""

    token: str
    name: str
    password: str | None = PASSWORD
    """Nothing: what is shown is no name with a password at all."""

    def header(self, place: Place) -> tuple[str, str]:
        """The header of a request, for one of the ways in which a face takes credentials."""
        if place.scheme == "basic":
            pair = self.name if self.password is None else f"{self.name}:{self.password}"
            return place.header, f"Basic {base64.b64encode(pair.encode()).decode()}"
        return place.header, f"{place.scheme} {self.token}".strip()


class Callers:
    """Tokens and users with the same rights; enter its settings into a server."""

    def __init__(self, folder: Path, permissions: Iterable[str], tenant: str = "north") -> None:
        self._file = folder / "tokens.yaml"
        self._users: dict[str, dict[str, object]] = {}
        self._tenant = tenant
        known = sorted(permissions)
        self.bad = Shown("jyd_nobody-has-this-token", "nobody", None)
        self.expired = Shown(
            create(self._file, Entry("expired", "", "late", tenant, ("admin",), expires=_yesterday())), "late", None
        )
        self.nothing = self.caller("nothing")
        self.everything = self.caller("everything", "*")
        self.only = {each: self.caller(f"only-{each}", each) for each in known}
        self.all_but = {
            each: self.caller(f"but-{each}", *(other for other in known if other != each)) for each in known
        }

    def caller(self, name: str, *permissions: str, tenant: str = "") -> Shown:
        """Somebody who holds some permissions, by token and by password alike."""
        tenant = tenant or self._tenant
        token = create(self._file, Entry(name, "", name, tenant, (), tuple(permissions)))
        self._users[name] = {"password": CHEAP.hash(PASSWORD), "tenant": tenant, "permissions": list(permissions)}
        return Shown(token, name)

    @property
    def settings(self) -> dict[str, str]:
        """For the environment of a server."""
        return {"JOBYARD_AUTH_TOKENS": str(self._file), "JOBYARD_AUTH_USERS": json.dumps(self._users)}


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)
