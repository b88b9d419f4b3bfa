"""/readyz says which part of a server fails, and that it is well again."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest

from jobyard_server.main import build
from jobyard_server.settings import load
from jobyard_server.store.store import Store


@asynccontextmanager
async def started(tmp_path):
    parts = build(load(database=f"sqlite:///{tmp_path / 'jobyard.db'}", grpc="127.0.0.1:0", rest="127.0.0.1:0"))
    async with parts.store:
        parts.supervisor.start()
        yield parts
        await parts.supervisor.stop()


async def get(parts, path):
    """Ask the application as an HTTP server does."""
    sent = []

    async def send(event):
        sent.append(event)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"localhost")], "query_string": b""}
    await parts.application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


async def until(condition):
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_loop_that_fails_is_told(tmp_path, monkeypatch):
    failing = True
    well = Store.wake_due

    async def wake_due(store):
        if failing:
            raise OSError("the disk is full")
        return await well(store)

    monkeypatch.setattr(Store, "wake_due", wake_due)
    async with started(tmp_path) as parts:

        async def answers(status, text):
            told, body = await get(parts, "/readyz")
            return told == status and text in body

        await until(lambda: answers(503, "engine: wakes: OSError: the disk is full"))
        assert (await get(parts, "/healthz"))[0] == 200
        failing = False
        await until(lambda: answers(200, "engine: running"))


async def test_the_lag_of_every_loop_is_a_metric(tmp_path):
    async with started(tmp_path) as parts:
        parts.supervisor.progress["wakes"].due -= 100
        _, text = await get(parts, "/metrics")
    found = re.findall(r'^jobyard_engine_lag_seconds\{loop="(\w+)"\} (\S+)$', text, re.MULTILINE)
    assert {name for name, _ in found} == set(parts.supervisor.progress)
    assert {name for name, lag in found if float(lag) > 90} == {"wakes"}


async def test_a_server_that_stops_is_told(tmp_path):
    async with started(tmp_path) as parts:
        assert (await get(parts, "/readyz"))[0] == 200
        parts.health.draining = True
        status, body = await get(parts, "/readyz")
        assert (status, body.splitlines()[-1]) == (503, "server: stopping")


async def test_a_store_that_cannot_write_is_told(tmp_path, monkeypatch):
    async with started(tmp_path) as parts:
        monkeypatch.setattr(type(parts.store), "reachable_for", property(lambda _: 0.0))
        status, body = await get(parts, "/readyz")
        assert (status, "store: unreachable" in body) == (503, True)


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
async def test_pages_do_not_depend_on_the_store(tmp_path, path):
    async with started(tmp_path) as parts:
        assert (await get(parts, path))[0] == 200
