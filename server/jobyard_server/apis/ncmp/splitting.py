"""Splits the operations of a job by DMI service and data producer, in order and byte for byte; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import orjson

from jobyard_server.apis.ncmp.routing import ProducerKey, Route, own_path, route_of
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse

Begin: TypeAlias = Callable[[ProducerKey], bytes]
"""Makes the beginning of what a data producer is sent, up to the bracket before the operations."""

_NULL: Final = msgspec.Raw(b"null")
_SKIPPED: Final = frozenset({"path", "moduleSetTag"})


class _Place(msgspec.Struct):
    """Of an operation only where it applies."""

    path: str


class _Write(msgspec.Struct):
    """A write operation; what is not looked into stays as it is written."""

    path: msgspec.Raw
    op: msgspec.Raw = _NULL
    value: msgspec.Raw = _NULL
    operation_id: msgspec.Raw = msgspec.field(default=_NULL, name="operationId")


_place: Final = msgspec.json.Decoder(_Place).decode
_write: Final = msgspec.json.Decoder(_Write).decode
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class Part:
    """What one data producer gets."""

    key: ProducerKey
    body: bytearray
    """What it is sent: a JSON object with the operations at its end. Whoever keeps some of it elsewhere clears it."""
    count: int = 0


class Splitter:
    """Takes the operations of a job, some at a time."""

    def __init__(self, begin: Begin, field: str, *, read: bool = False) -> None:
        self._begin = begin
        self.field = field
        """What clients call the operations."""
        self._read = read
        self._taken = 0
        self._parts: dict[ProducerKey, Part] = {}
        self._by_route: dict[Route, tuple[Part, bytes]] = {}

    def paths(self, operations: Sequence[msgspec.Raw]) -> Iterator[str]:
        """The managed objects of the operations that are to be taken next; refuses one that has none."""
        for index, operation in enumerate(operations, self._taken):
            yield own_path(self._path(operation, index))

    def take(self, operations: Sequence[msgspec.Raw], known: Mapping[str, Route]) -> None:
        """Split operations; ``known`` has the route of every target of theirs by its alternate id."""
        for index, operation in enumerate(operations, self._taken):
            path = self._path(operation, index)
            route = route_of(path, known)
            if route is None:
                raise _unknown(path)
            part, tag = self._by_route.get(route) or self._meet(route, path)
            if part.count:
                part.body += b","
            part.body += _passed_on(operation, tag, f"{self.field}[{index}]", read=self._read)
            part.count += 1
        self._taken += len(operations)

    @property
    def parts(self) -> Sequence[Part]:
        """Who got what so far, in the order in which they were met first."""
        return list(self._parts.values())

    def end(self) -> Sequence[Part]:
        """The same when all operations were taken."""
        for part in self._parts.values():
            part.body += b"]}"
        return self.parts

    def _meet(self, route: Route, path: str) -> tuple[Part, bytes]:
        key = route.read_key if self._read else route.write_key
        if not key.dmi:
            raise _unserved(path, "read" if self._read else "write")
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(key, bytearray(self._begin(key)))
        found = self._by_route[route] = (part, orjson.dumps(route.tag or None))
        return found

    def _path(self, operation: msgspec.Raw, index: int) -> str:
        try:
            return _place(operation).path
        except msgspec.DecodeError:
            raise invalid(f"{self.field}[{index}].path", "must be a text that names a managed object") from None


def _passed_on(operation: msgspec.Raw, tag: bytes, field: str, *, read: bool) -> bytes:
    """An operation as a DMI service gets it. What is not set is null."""
    if read:
        others = {name: value for name, value in _members(operation).items() if name not in _SKIPPED}
        named = b"".join(b",%b:%b" % (orjson.dumps(name), value) for name, value in others.items())
        return b'{"path":%b,"moduleSetTag":%b%b}' % (_write(operation).path, tag, named)
    parts = _write(operation)
    return b'{"path":%b,"op":%b,"moduleSetTag":%b,"value":%b,"operationId":%b}' % (
        parts.path,
        _text(parts.op, f"{field}.op"),
        tag,
        parts.value,
        _text(parts.operation_id, f"{field}.operationId"),
    )


def _text(value: msgspec.Raw, field: str) -> bytes:
    """A text, or null. A number or a boolean is taken for a text, as it is written."""
    written = bytes(value)
    match written[:1]:
        case b'"' | b"n":
            return written
        case b"{" | b"[":
            raise invalid(field, "must be a text")
        case _:
            return b'"%b"' % written


def _unserved(path: str, kind: str) -> Refused:
    return refuse(
        Reason.TARGET_REFERENCE_UNKNOWN,
        f"The target of the path {path!r} has no DMI service for {kind} jobs.",
        Violation("path", f"leads to a target without a DMI service for {kind} jobs"),
        path=path,
        details=f"there is no DMI service for {kind} jobs behind {path}",
    )


def _unknown(path: str) -> Refused:
    return refuse(
        Reason.TARGET_REFERENCE_UNKNOWN,
        f"No target covers the path {path!r}.",
        Violation("path", "is covered by no target"),
        path=path,
        details=f"cannot find a datanode with alternate id {path}",
    )
