"""Loops run, fail, come back, and say how they are doing."""

import asyncio
from itertools import pairwise

import pytest

from jobyard_server.engine import supervisor as module
from jobyard_server.engine.supervisor import Loop, Supervisor


@pytest.fixture
async def running():
    """Starts supervisors and stops them when the test is over."""
    started = []

    def start(*loops):
        supervisor = Supervisor(loops)
        supervisor.start()
        started.append(supervisor)
        return supervisor

    yield start
    for supervisor in started:
        await supervisor.stop()


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_loop_goes_on_at_once_while_there_is_more_and_waits_when_there_is_not(running):
    left, times = [3, 2, 1, 0, 0], []

    async def step():
        times.append(asyncio.get_running_loop().time())
        return left.pop(0) if left else 0

    supervisor = running(Loop("work", 2.0, step))
    await until(lambda: len(times) == 5)
    pauses = [after - before for before, after in pairwise(times)]
    assert max(pauses[:3]) < 1.8
    assert pauses[3] > 1.9
    assert supervisor.progress["work"].done == 6
    assert supervisor.troubled() == {}


async def test_a_loop_that_fails_is_tried_again_later_and_later(running, monkeypatch):
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.05)
    failing, times = True, []

    async def step():
        times.append(asyncio.get_running_loop().time())
        if failing:
            raise OSError("the disk is full")
        return 0

    supervisor = running(Loop("work", 0.01, step))
    await until(lambda: len(times) == 4)
    pauses = [after - before for before, after in pairwise(times)]
    assert [round(pause, 2) >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True)] == [True] * 3
    assert supervisor.troubled() == {"work": "OSError: the disk is full"}
    failing = False
    await until(lambda: supervisor.troubled() == {})
    assert supervisor.progress["work"].failures == 0


async def test_the_wait_after_a_failure_has_an_end(running, monkeypatch):
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(module, "LONGEST_BACKOFF", 0.002)
    count = 0

    async def step():
        nonlocal count
        count += 1
        raise OSError("no")

    supervisor = running(Loop("work", 1.0, step))
    await until(lambda: count > 50)
    assert supervisor.progress["work"].failures >= 50


async def test_one_loop_that_fails_leaves_the_others_alone(running):
    count = 0

    async def good():
        nonlocal count
        count += 1
        return 0

    async def bad():
        raise ValueError("no")

    supervisor = running(Loop("good", 0.001, good), Loop("bad", 0.001, bad))
    await until(lambda: count > 10)
    assert supervisor.troubled() == {"bad": "ValueError: no"}


async def test_a_loop_survives_that_something_it_waits_for_is_cancelled(running, monkeypatch):
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.05)
    count = 0

    async def step():
        nonlocal count
        count += 1
        if count == 1:
            waited_for = asyncio.get_running_loop().create_future()
            waited_for.cancel()
            await waited_for
        return 0

    supervisor = running(Loop("work", 0.01, step))
    await until(lambda: supervisor.troubled() == {"work": "CancelledError: "})
    await until(lambda: count > 2 and supervisor.troubled() == {})


async def test_a_loop_that_hangs_is_late(running, monkeypatch):
    monkeypatch.setattr(module, "LATE", 0.05)

    async def hang():
        await asyncio.sleep(60)
        return 0

    supervisor = running(Loop("work", 0.01, hang))
    await until(lambda: supervisor.troubled() != {})
    assert supervisor.troubled()["work"].startswith("late by")


async def test_stop_ends_everything(running):
    cancelled = asyncio.Event()

    async def hang():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return 0

    supervisor = running(Loop("work", 1.0, hang))
    await asyncio.sleep(0.02)
    await supervisor.stop()
    assert cancelled.is_set()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "engine-work"] == []
