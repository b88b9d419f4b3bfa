"""Reads the body of a write job while it comes: gives operations as soon as they are whole, and lets go of them.

Nothing is scanned for where operations end. The beginning of what has come is cut off where it looks as if one ended,
and the parser is asked whether the piece is an array by itself: then it was cut between two operations. Where no such
cut is found the body is kept until its end, as one is that says its metadata behind its operations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from typing_extensions import override

from jobyard_server.apis.ncmp.requests import Gathered, Metadata, array, bounded, malformed, write_job
from jobyard_server.domain.reason import Refused

LOOK: Final = 256 * 1024
"""Bytes that are worth a look."""
FAR: Final = 64 * 1024
"""The operations of a body that is read while it comes begin within so many bytes."""
TRIES: Final = 16
"""Places where an operation may have ended that are tried, from behind."""

_DATA: Final = re.compile(rb'"data"\s*:\s*\[')
_MARK: Final = b"0"
"""Stands where the operations are that were given already; none looks like it."""


class WriteBody(Gathered):
    """One body. Its metadata is known when the first operations are."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata = Metadata()
        self._head = b""
        """What stands before the operations, if it is known."""
        self._given = 0
        self._next_look = LOOK

    @override
    def add(self, piece: bytes) -> None:
        near = len(self.body) < FAR
        super().add(piece)
        if near and len(self.body) >= FAR and not self._head:
            self._begin()

    def ready(self) -> Sequence[msgspec.Raw]:
        """The operations that are whole now, if it is worth it."""
        if not self._head or len(self.body) < self._next_look:
            return []
        found = self._cut()
        self._next_look = LOOK if found else 2 * len(self.body)
        self._given += len(found)
        return bounded(found, self._given)

    def rest(self) -> Sequence[msgspec.Raw]:
        """The last operations, when the last piece has come; raises ``Refused`` for what is no write job."""
        body = self.whole()
        if not self._given:
            self.metadata, found = write_job(self._head + body if self._head else body)
            return found
        metadata, found = write_job(b"".join((self._head, _MARK, b",", body)))
        if metadata != self.metadata or not found or bytes(found[0]) != _MARK:
            raise malformed("a member of it is there twice")
        return bounded(found[1:], self._given + len(found) - 1)

    def _begin(self) -> None:
        """Look where the operations begin: behind what is a write job of none, and of whatever stands there."""
        found = _DATA.search(self.body, 0, FAR)
        if found is None:
            return
        head = bytes(self.body[: found.end()])
        try:
            metadata, none = write_job(head + b"]}}")
            _, one = write_job(head + _MARK + b"]}}")
        except Refused:
            return
        if not none and len(one) == 1:
            self.metadata, self._head = metadata, head
            del self.body[: len(head)]

    def _cut(self) -> Sequence[msgspec.Raw]:
        end = len(self.body)
        for _ in range(TRIES):
            end = self.body.rfind(b"},", 0, end)
            if end < 0:
                break
            try:
                found = array(b"".join((b"[", self.body[: end + 1], b"]")))
            except (msgspec.DecodeError, RecursionError):
                continue
            del self.body[: end + 2]
            return found
        return []
