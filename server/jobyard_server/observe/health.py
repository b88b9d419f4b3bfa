"""Whether the server can do its work: one word from each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """How a part is doing."""

    well: bool
    word: str
    """One phrase for people."""


class Health:
    """What the parts say. Parts that have said nothing are not asked about: each reports when it starts."""

    def __init__(self) -> None:
        self._parts: dict[str, Callable[[], Part]] = {}
        self.draining = False
        """The server stops: calls in progress end, new ones should go elsewhere."""

    def watch(self, name: str, ask: Callable[[], Part]) -> None:
        """Ask this part whenever somebody wants to know."""
        self._parts[name] = ask

    def parts(self) -> Mapping[str, Part]:
        """Every part by name."""
        return {name: ask() for name, ask in self._parts.items()}

    @property
    def ready(self) -> bool:
        """Whether new calls are welcome."""
        return bool(self._parts) and not self.draining and all(part.well for part in self.parts().values())
