"""Objects in buckets, against a server that speaks S3 and against folders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from obstore.store import S3Store
from pydantic import SecretStr, ValidationError

from jobyard_server.domain.delivery import ObjectCall, Problem
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.outbound.objects import Objects
from jobyard_server.result_settings import BrokerSettings, ObjectSettings
from support.places import s3_with

KEYS = {"access_key_id": "jobyard", "secret_access_key": SecretStr("hidden")}
LARGE = b"0123456789abcdef" * (1024 * 1024)
"""More than three parts of an upload."""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_with("results") as url:
        yield url


def pieces(data: bytes, size: int = 300_000):
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


@pytest.mark.timeout(60)
async def test_s3(s3: str) -> None:
    bucket = "results"
    settings = ObjectSettings(buckets=frozenset({bucket}), endpoint=s3, region="us-east-1", **KEYS)
    objects = Objects(settings)
    assert objects.serves(bucket)
    assert not objects.serves("others")
    await check(objects, bucket)
    head = await S3Store(
        bucket,
        endpoint=s3,
        region="us-east-1",
        access_key_id="x",
        secret_access_key="x",
        client_options={"allow_http": True},
    ).get_async("tenant/one.json")
    assert head.attributes["Content-Type"] == "application/json"


async def test_folders(tmp_path: Path) -> None:
    await check(Objects(ObjectSettings(url=f"file://{tmp_path}", buckets=frozenset({"results"}))), "results")
    assert (tmp_path / "results" / "tenant" / "one.json").read_bytes() == LARGE


async def test_memory() -> None:
    await check(Objects(ObjectSettings(url="memory://", buckets=frozenset({"results"}))), "results")


async def test_a_store_that_is_away_says_so_and_tells_no_secrets(s3: str) -> None:
    settings = ObjectSettings(buckets=frozenset({"missing"}), endpoint=s3, region="us-east-1", **KEYS)
    objects = Objects(settings)
    answer = await objects.put(ObjectCall("missing", "k", pieces(b"1")), 30)
    assert answer.problem is Problem.BROKEN
    with pytest.raises(Refused) as caught:
        await objects.list("missing", "", 10)
    assert caught.value.refusal.reason is Reason.STORE_UNAVAILABLE
    for text in (answer.message, caught.value.refusal.message, repr(settings)):
        assert "hidden" not in text
        assert s3 not in answer.message


async def test_an_upload_that_takes_too_long_is_given_up() -> None:
    import asyncio  # noqa: PLC0415

    async def never() -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    objects = Objects(ObjectSettings(url="memory://", buckets=frozenset({"results"})))
    answer = await objects.put(ObjectCall("results", "k", never), 0.1)
    assert answer.problem is Problem.TIMED_OUT


@pytest.mark.parametrize(
    "said",
    [
        {"buckets": []},
        {"buckets": ["Upper"]},
        {"buckets": ["a/b"]},
        {"buckets": ["a..b"]},
        {"buckets": ["ab", "abc"]},
        {"buckets": ["abc"], "url": "ftp://x"},
        {"buckets": ["abc"], "url": "file://"},
        {"buckets": ["abc"], "url": "memory:///x"},
        {"buckets": ["abc"], "endpoint": "minio:9000"},
        {"buckets": ["abc"], "more": 1},
    ],
)
def test_settings_of_objects_that_cannot_be(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ObjectSettings(**said)


@pytest.mark.parametrize(
    "said", [{"url": "http://x", "topics": ["t"]}, {"url": "nats://x"}, {"url": "nats://", "topics": ["t"]}]
)
def test_settings_of_brokers_that_cannot_be(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BrokerSettings(**said)
