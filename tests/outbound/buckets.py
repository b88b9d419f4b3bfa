"""What holds for objects in every kind of bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from jobyard_server.domain.delivery import ObjectCall
from jobyard_server.outbound.objects import Objects

LARGE = b"0123456789abcdef" * (1024 * 1024)
"""More than three parts of an upload."""


def pieces(data: bytes, size: int = 300_000) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return read


async def read(objects: Objects, bucket: str, key: str) -> bytes | None:
    found = await objects.read(bucket, key)
    return None if found is None else b"".join([piece async for piece in found])


async def check(objects: Objects, bucket: str) -> None:
    for data in (b"", b'{"a": 1}\n', LARGE):
        call = ObjectCall(bucket, "tenant/one.json", pieces(data))
        for _ in range(2):
            assert (await objects.put(call, 30)).status == 200, "an object may be put again"
        assert await read(objects, bucket, "tenant/one.json") == data
    await objects.put(ObjectCall(bucket, "other/two.json", pieces(b"2")), 30)
    found = await objects.list(bucket, "tenant/", 10)
    assert [(one.key, one.size) for one in found] == [("tenant/one.json", len(LARGE))]
    assert await read(objects, bucket, "tenant/none.json") is None
