"""The figure that workers are scaled by."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.observe import queue_lag


async def test_a_queue_that_had_work_is_shown_as_without_wait_and_trouble_is_survived(monkeypatch):
    monkeypatch.setattr(queue_lag, "PERIOD", 0)
    answers = [{"a": 3.5, "b": 1.0}, {"b": 2.0}, None]
    shown = []
    registry = CollectorRegistry()

    async def ask():
        shown.append(generate_latest(registry).decode())
        answer = answers[len(shown) - 1] if len(shown) <= len(answers) else {}
        if answer is None:
            raise refuse(Reason.STORE_UNAVAILABLE, "the database is away")
        return answer

    lag = queue_lag.QueueLag(registry, ask)
    running = asyncio.create_task(lag.run())
    async with asyncio.timeout(60):
        while len(shown) < 4:
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 'jobyard_queue_lag_seconds{queue="a"} 3.5' in shown[1]
    assert 'jobyard_queue_lag_seconds{queue="a"} 0.0' in shown[2]
    assert 'jobyard_queue_lag_seconds{queue="b"} 2.0' in shown[2]
    assert 'jobyard_queue_lag_seconds{queue="b"} 0.0' in shown[3]
