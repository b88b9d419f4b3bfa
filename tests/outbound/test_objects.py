"""Objects in folders and in memory; `make s3` runs the same against a server that speaks S3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobyard_server.domain.delivery import ObjectCall, Problem
from jobyard_server.outbound.objects import Objects
from jobyard_server.result_settings import BrokerSettings, ObjectSettings
from outbound.buckets import LARGE, check


async def test_folders(tmp_path: Path) -> None:
    await check(Objects(ObjectSettings(url=f"file://{tmp_path}", buckets=frozenset({"results"}))), "results")
    assert (tmp_path / "results" / "tenant" / "one.json").read_bytes() == LARGE


async def test_memory() -> None:
    await check(Objects(ObjectSettings(url="memory://", buckets=frozenset({"results"}))), "results")


async def test_an_upload_that_takes_too_long_is_given_up() -> None:
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
