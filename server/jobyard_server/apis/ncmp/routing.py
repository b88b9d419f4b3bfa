"""Who gets what: the DMI service and the data producer behind a target, and the target behind a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson
from typing_extensions import override


class Route(NamedTuple):
    """Where the operations on a target go. Targets that share it share one object."""

    dmi: str
    """URL of the DMI service."""
    read: str = ""
    """URL of its part for read jobs; empty: the same."""
    write: str = ""
    """URL of its part for write jobs; empty: the same."""
    producer: str = ""
    tag: str = ""
    """Identifier of the set of modules of the target."""
    ready: bool = True

    @property
    def write_key(self) -> ProducerKey:
        """Who gets write operations."""
        return ProducerKey(self.write or self.dmi, self.producer)

    @property
    def read_key(self) -> ProducerKey:
        """Who gets selectors of read jobs."""
        return ProducerKey(self.read or self.dmi, self.producer)

    @property
    def body(self) -> str:
        """As it is kept."""
        return orjson.dumps(tuple(self)).decode()


class ProducerKey(NamedTuple):
    """A DMI service and one of the data producers behind it."""

    dmi: str
    producer: str

    @override
    def __str__(self) -> str:
        return f"{self.dmi}#{self.producer}"


class Routes:
    """Reads routes as they are kept, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Route] = {}

    def __call__(self, body: str) -> Route:
        """The route that a text keeps."""
        found = self._known.get(body)
        if found is None:
            found = self._known[body] = Route(*orjson.loads(body))
        return found


def own_path(path: str) -> str:
    """The managed object of a path, without the attribute or action of it behind a ``#``."""
    return path.partition("#")[0]


def upwards(path: str) -> Iterator[str]:
    """The managed objects that could be the target of a path, the longest first: whole segments only."""
    at = own_path(path)
    while at:
        yield at
        at = at.rpartition("/")[0]


def candidates(paths: Iterable[str]) -> set[str]:
    """Everything that could be the target of one of some paths, each once however many share it."""
    found: set[str] = set()
    for path in paths:
        for one in upwards(path):
            if one in found:
                # What is above it was found with it.
                break
            found.add(one)
    return found


def route_of(path: str, known: Mapping[str, Route]) -> Route | None:
    """The route of the target whose alternate id is the longest beginning of a path."""
    for one in upwards(path):
        if (found := known.get(one)) is not None:
            return found
    return None
