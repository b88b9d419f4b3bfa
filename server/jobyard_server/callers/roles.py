"""What roles allow: names of permissions, with ``*`` and ``area.*`` resolved against those there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

ALL: Final = "*"

BUILT_IN: Final[Mapping[str, frozenset[str]]] = {"admin": frozenset({ALL})}
"""Roles that every server has."""


class RoleError(ValueError):
    """A role or permission that does not exist; its text says which, and which there are."""


class Roles:
    """The roles of one server."""

    def __init__(self, roles: Mapping[str, frozenset[str]], known: frozenset[str]) -> None:
        """Resolve every role; ``known`` are the permissions that some method asks for."""
        self._known = known
        self._roles = {name: self.resolve(permissions) for name, permissions in {**BUILT_IN, **roles}.items()}

    def resolve(self, permissions: Iterable[str]) -> frozenset[str]:
        """The permissions that a list of names and patterns stands for; raises RoleError."""
        found: set[str] = set()
        for name in permissions:
            if name == ALL or name in self._known:
                found.add(name)
                continue
            matching = {each for each in self._known if name.endswith(".*") and each.startswith(name[:-1])}
            if not matching:
                raise RoleError(f"there is no permission {name!r}; there are {', '.join(sorted(self._known))}")
            found |= matching
        return frozenset(found)

    def permissions(self, roles: Iterable[str]) -> frozenset[str]:
        """What several roles allow together; raises RoleError."""
        found: frozenset[str] = frozenset()
        for role in roles:
            if role not in self._roles:
                raise RoleError(f"there is no role {role!r}; there are {', '.join(sorted(self._roles))}")
            found |= self._roles[role]
        return found
