"""Names of information types: their versions, and which type may stand in for which."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_VERSIONED: Final = re.compile(r"(?P<name>.+)_(?P<major>\d{1,9})\.(?P<minor>\d{1,9})\.(?P<patch>\d{1,9})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TypeName:
    """The name of a type, taken apart: ``pm_1.5.0`` is version 1.5.0 of ``pm``, ``my_type`` has no version."""

    text: str
    name: str
    version: tuple[int, int, int] | None

    @property
    def prefix(self) -> str:
        """What the names of all its versions begin with."""
        return self.text if self.version is None else f"{self.name}_"


def type_name(text: str) -> TypeName:
    """Take a name apart. Only three numbers behind the last underscore are a version."""
    found = _VERSIONED.fullmatch(text)
    if found is None:
        return TypeName(text, text, None)
    return TypeName(text, found["name"], (int(found["major"]), int(found["minor"]), int(found["patch"])))


def stands_in(offered: TypeName, wanted: TypeName) -> bool:
    """Whether a type does for another: the same one, or a minor version that is not older, of the same major one."""
    if offered.text == wanted.text:
        return True
    if offered.version is None or wanted.version is None or offered.name != wanted.name:
        return False
    return offered.version[0] == wanted.version[0] and offered.version[1] >= wanted.version[1]


def choose(wanted: str, registered: Iterable[str]) -> str | None:
    """The registered type that a request means: the very one, else the lowest version that stands in for it."""
    known = set(registered)
    if wanted in known:
        return wanted
    asked = type_name(wanted)
    fitting = [offered for offered in map(type_name, known) if stands_in(offered, asked)]
    return min(fitting, key=lambda one: one.version or (0, 0, 0)).text if fitting else None


def same_kind(one: str, other: str) -> bool:
    """Whether two names differ in their version alone."""
    return type_name(one).name == type_name(other).name
