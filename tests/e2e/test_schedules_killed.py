"""A server killed at any moment, and two servers on one file, make the job of every due time exactly once."""

import asyncio
import random
from collections import Counter

import pytest
from google.protobuf.duration_pb2 import Duration

from jobyard.jobs.v1 import schedule_pb2
from support.running import Server
from support.yarding import jobs_of, quick_server

pytestmark = pytest.mark.timeout(300)

SCHEDULES = 12
KILLS = 4
SECOND = 1_000_000
EVERY = {"JOBYARD_SCHEDULE_CHECK_SECONDS": "0.1"}


def every_second(**changes) -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(
        **{
            "cron": "* * * * * *",
            "seconds": schedule_pb2.CRON_SECONDS_FIRST,
            "overlap": schedule_pb2.OVERLAP_POLICY_ALLOW,
            "catch_up": schedule_pb2.CATCH_UP_POLICY_ALL,
            **changes,
        }
    )


async def submit_schedules(server: Server, queue: str) -> None:
    async with jobs_of(server) as jobs:
        for number in range(SCHEDULES):
            jitter = Duration(nanos=300_000_000) if number % 3 == 0 else None
            await jobs.submit("1", queue=queue, schedule=every_second(jitter=jitter))


def check(server: Server) -> int:
    """Every due time from the first to the last has one job, which the record of the due time names; how many."""
    made = server.rows("SELECT parent, due_at, number FROM jobs WHERE parent IS NOT NULL")
    fires = server.rows("SELECT job, due_at, child FROM fires WHERE fate = 'MADE'")
    others = server.rows("SELECT fate, reason FROM fires WHERE fate <> 'MADE'")
    schedules = server.rows("SELECT job, next_due, last_due FROM schedules")
    subjobs = server.rows("SELECT job FROM subjobs")
    assert server.whole()
    assert others == []
    assert sorted(made) == sorted(fires)
    assert set(Counter((parent, due) for parent, due, _ in made).values()) == {1}
    assert sorted(number for _, _, number in made) == sorted(job for (job,) in subjobs)
    for job, next_due, last_due in schedules:
        due = sorted(at for parent, at, _ in made if parent == job)
        assert due == list(range(due[0], last_due + 1, SECOND))
        assert next_due == last_due + SECOND
    return len(made)


async def made(server: Server, count: int) -> None:
    """Return when so many jobs have been made."""
    async with asyncio.timeout(120):
        while server.rows("SELECT count(*) FROM jobs WHERE parent IS NOT NULL") < [(count,)]:
            await asyncio.sleep(0.2)


async def test_a_server_killed_at_any_moment_makes_each_job_once(tmp_path):
    chance = random.Random(20261101)
    server = quick_server(tmp_path, **EVERY)
    server.start()
    await submit_schedules(server, "nobody-serves-it")
    for _ in range(KILLS):
        await asyncio.sleep(0.9 + chance.random() * 1.2)
        server.kill()
        await asyncio.sleep(chance.random() * 2)
        server.start()
    await made(server, SCHEDULES * KILLS * 2)
    server.stop()
    assert check(server) >= SCHEDULES * KILLS * 2


async def test_two_servers_on_one_database_make_each_job_once(tmp_path):
    one = quick_server(tmp_path, name="one", **EVERY)
    other = quick_server(tmp_path, name="other", database=one.database, **EVERY)
    with one, other:
        await submit_schedules(one, "nobody-serves-it")
        await made(one, SCHEDULES * 4)
    assert check(one) >= SCHEDULES * 4
