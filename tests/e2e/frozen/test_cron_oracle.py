"""Fifty schedules of every policy, a server killed at random, a clock that goes fast: no due time is lost or doubled.

What became of the due times is matched against the times that the expressions name, worked out here by looking at
every minute. `FAULT_SECONDS` says how long it goes on; `make fault-schedules` takes five minutes.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from jobyard.jobs.v1 import job_access_pb2, job_pb2, schedule_access_pb2, schedule_pb2, schedule_service_pb2_grpc
from support.yarding import Jobs, jobs_of, quick_server

SECONDS = float(os.environ.get("FAULT_SECONDS", "25"))
SEED = int(os.environ.get("FAULT_SEED", "20261121"))
SCHEDULES = 50
START = datetime(2026, 11, 21, 10, 0, 30, tzinfo=UTC)
STEP, PAUSE = timedelta(seconds=15), 0.25
"""The clock goes a minute a second."""
MINUTE = timedelta(minutes=1)
ON_TIME = timedelta(seconds=60)
"""What is later than this was missed, and for the catch-up policy to deal with."""

ALLOW, SKIP = schedule_pb2.OVERLAP_POLICY_ALLOW, schedule_pb2.OVERLAP_POLICY_SKIP
ALL = schedule_pb2.CATCH_UP_POLICY_ALL
ENDING = (schedule_pb2.OVERLAP_POLICY_CANCEL_OTHER, schedule_pb2.OVERLAP_POLICY_TERMINATE_OTHER)
"""Of jobs that each would end the one before only the last is made, whatever the catch-up policy."""
OVERLAPS = range(1, 7)
CATCH_UPS = range(1, 4)
MADE, SKIPPED, MISSED = (
    schedule_pb2.FIRE_FATE_MADE,
    schedule_pb2.FIRE_FATE_SKIPPED,
    schedule_pb2.FIRE_FATE_MISSED,
)

pytestmark = pytest.mark.timeout(SECONDS * 3 + 180)


@dataclass
class Planned:
    """A schedule of the test."""

    every: int
    """Minutes of the hour it names: those that this number divides."""
    overlap: int
    catch_up: int
    jitter: int
    job: job_pb2.Job
    paused: list[tuple[datetime, datetime]] = field(default_factory=list)

    @property
    def word(self) -> str:
        overlap, catch_up = (
            schedule_pb2.OverlapPolicy.Name(self.overlap),
            schedule_pb2.CatchUpPolicy.Name(self.catch_up),
        )
        return f"*/{self.every} {overlap} {catch_up} jitter {self.jitter} paused {len(self.paused)}"

    def named(self, until: datetime) -> list[datetime]:
        """The due times from the start on, by looking at every minute."""
        first = START.replace(second=0) + MINUTE
        return [minute for minute in minutes(first, until) if minute.minute % self.every == 0]


def minutes(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += MINUTE


class Run:
    """The server, its clock, and the hand that kills and pauses."""

    def __init__(self, server: Any, clock: Any) -> None:
        self.server = server
        self.clock = clock
        self.chance = random.Random(SEED)
        self.now = START
        self.down: list[tuple[datetime, datetime]] = []
        self.planned: list[Planned] = []

    async def pass_by(self, jobs: Jobs) -> None:
        """Let the clock go on a step, and the server follow: that the machine is busy is not the fault meant."""
        self.now += STEP
        self.clock.show(self.now)
        await asyncio.sleep(PAUSE)
        async with asyncio.timeout(60):
            while not all(self._followed(job) for job in await steadily(lambda: scheduled(jobs))):
                await asyncio.sleep(0.05)

    def _followed(self, job: job_pb2.Job) -> bool:
        """Whether the server has seen to what is due by now."""
        jitter = timedelta(seconds=job.schedule.jitter.seconds)
        return job.schedule.paused or time(job.schedule.next_due_time) + jitter > self.now - STEP

    async def crash(self) -> None:
        """Kill the server, and start it again after some steps of the clock."""
        since = self.now
        self.server.kill()
        for _ in range(self.chance.choice((0, 1, 6, 20))):
            self.now += STEP
            self.clock.show(self.now)
        self.server.start()
        self.down.append((since, self.now))

    async def schedule(self, jobs: Jobs) -> None:
        """Submit schedules of every policy."""
        for number in range(SCHEDULES):
            every, overlap = (1, 2, 3, 5)[number % 4], OVERLAPS[number % 6]
            catch_up, jitter = CATCH_UPS[number // 6 % 3], 40 if number % 5 == 0 else 0
            schedule = schedule_pb2.Schedule(
                cron=f"*/{every} * * * *", overlap=overlap, catch_up=catch_up, jitter=Duration(seconds=jitter)
            )  # fmt: skip
            takes = self.chance.choice((0.1, 0.4, 1.2, 2.5))
            job = await jobs.submit(str(takes), schedule=schedule)
            self.planned.append(Planned(every, overlap, catch_up, jitter, job))

    async def pause(self, jobs: Jobs, planned: Planned) -> None:
        """Pause a schedule for some steps of the clock."""
        schedules = schedule_service_pb2_grpc.ScheduleServiceStub(jobs.channel)
        await schedules.PauseSchedule(schedule_access_pb2.PauseScheduleRequest(job=planned.job.uid))
        since = self.now
        for _ in range(self.chance.choice((1, 8, 16))):
            await self.pass_by(jobs)
        await schedules.ResumeSchedule(schedule_access_pb2.ResumeScheduleRequest(job=planned.job.uid))
        planned.paused.append((since, self.now))


async def test_every_due_time_is_accounted_for(tmp_path, clock):
    clock.show(START)
    server = quick_server(tmp_path, JOBYARD_SCHEDULE_CHECK_SECONDS="0.05", **clock.settings)
    server.start()
    run = Run(server, clock)
    loop = asyncio.get_running_loop()
    async with jobs_of(server) as jobs:
        schedules = schedule_service_pb2_grpc.ScheduleServiceStub(jobs.channel)
        await run.schedule(jobs)
        async with jobs.worker("/bin/sh", "-c", "read seconds; exec sleep $seconds", concurrency=16):
            until = loop.time() + SECONDS
            while loop.time() < until:
                for _ in range(run.chance.randrange(4, 16)):
                    await run.pass_by(jobs)
                if run.chance.random() < 0.6:
                    await run.crash()
                else:
                    await run.pause(jobs, run.chance.choice(run.planned))
            for _ in range(8):
                await run.pass_by(jobs)
            await asyncio.sleep(3)
        made = [await check(run, jobs, schedules, planned) for planned in run.planned]
    assert run.down
    assert sum(made) > SCHEDULES
    server.stop()


async def steadily(ask: Any) -> Any:
    """Ask a server that may have come back just now."""
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.2)


async def scheduled(jobs: Jobs) -> list[job_pb2.Job]:
    """The schedules as they are."""
    request = job_access_pb2.ListJobsRequest(filter="mode = SCHEDULED", page_size=1000)
    return list((await jobs.stub.ListJobs(request)).jobs)


async def check(run: Run, jobs: Jobs, schedules: Any, planned: Planned) -> int:
    """Match what happened with what was to happen; how many jobs were made."""
    fires = await fires_of(schedules, planned.job)
    children = await children_of(jobs, planned.job)
    made = sorted(time(fire.due_time) for fire in fires if fire.fate == MADE)
    passed = [(time(fire.due_time), last(fire), fire.fate) for fire in fires if fire.fate != MADE]
    # Each job is of one due time, each due time of one job, and the record knows which.
    assert sorted((time(child.due_time), child.number) for child in children) == sorted(
        (time(fire.due_time), fire.job) for fire in fires if fire.fate == MADE
    ), planned.word
    assert max(Counter(made).values(), default=1) == 1, planned.word
    # Each due time was dealt with once: made, or passed over for a reason that holds.
    dealt = Counter(made)
    for named in planned.named(run.now - 3 * MINUTE):
        covering = [fate for first, until, fate in passed if first <= named <= until]
        buffered = planned.overlap not in (ALLOW, SKIP) and not covering
        assert dealt[named] + len(covering) == 1 or buffered, (planned.word, named, covering)
        for fate in covering:
            assert excused(run, planned, named, fate), (planned.word, named, fate)
    assert set(made) <= set(planned.named(run.now)), planned.word
    on_their_own(planned, children)
    return len(children)


def excused(run: Run, planned: Planned, named: datetime, fate: int) -> bool:
    """Whether a due time may have been passed over for this reason."""
    if fate == MISSED:
        # The server was down, or the schedule paused, when it came; then what is not made up for is missed.
        gaps = run.down + planned.paused
        late = timedelta(seconds=planned.jitter) + ON_TIME
        made_up_for = planned.catch_up == ALL and planned.overlap not in ENDING
        return not made_up_for and any(since - late <= named <= until for since, until in gaps)
    return fate == SKIPPED and planned.overlap != ALLOW


def on_their_own(planned: Planned, children: list[job_pb2.Job]) -> None:
    """Where jobs must not overlap, each is made when the one before has ended; none is made before its time."""
    for child in children:
        assert time(child.create_time) >= time(child.due_time), planned.word
    if planned.overlap != ALLOW:
        for before, after in pairwise(sorted(children, key=lambda child: child.number)):
            assert before.HasField("end_time"), planned.word
            assert time(before.end_time) <= time(after.create_time), planned.word


def time(stamp: Any) -> datetime:
    return stamp.ToDatetime(UTC)


def last(fire: schedule_pb2.Fire) -> datetime:
    return time(fire.until_time) if fire.HasField("until_time") else time(fire.due_time)


async def fires_of(schedules: Any, job: job_pb2.Job) -> list[schedule_pb2.Fire]:
    found, token = [], ""
    while True:
        request = schedule_access_pb2.ListFiresRequest(job=job.uid, page_size=1000, page_token=token)
        page = await schedules.ListFires(request)
        found += page.fires
        token = page.next_page_token
        if not token:
            return found


async def children_of(jobs: Jobs, job: job_pb2.Job) -> list[job_pb2.Job]:
    found, token = [], ""
    while True:
        request = job_access_pb2.ListJobsRequest(filter=f"parent = {job.number}", page_size=1000, page_token=token)
        page = await jobs.stub.ListJobs(request)
        found += page.jobs
        token = page.next_page_token
        if not token:
            return found
