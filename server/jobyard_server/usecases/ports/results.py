"""Where results go that are not kept here: buckets of an object store, topics of a broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a bucket."""

    key: str
    size: int


class ObjectStore(Protocol):
    """The buckets an operator lets this server use. What is put into them is put by deliveries."""

    def serves(self, bucket: str) -> bool:
        """Whether a bucket is one of them."""

    async def list(self, bucket: str, prefix: str, limit: int) -> Sequence[StoredObject]:
        """Objects whose key begins so, at most ``limit``; raises ``Refused`` when the store does not answer."""

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes] | None:
        """The bytes of an object; ``None`` when there is none. Raises ``Refused`` when the store does not answer."""


class Topics(Protocol):
    """The topics an operator lets this server publish to. What is published is published by deliveries."""

    @property
    def most_bytes(self) -> int:
        """Largest message."""

    def serves(self, topic: str) -> bool:
        """Whether a topic is one of them."""
