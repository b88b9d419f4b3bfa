"""Schedules on the days when clocks are put forward and back, by a server whose own clock comes through them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jobyard.jobs.v1 import schedule_access_pb2, schedule_pb2, schedule_service_pb2_grpc
from support.yarding import jobs_of, quick_server

pytestmark = pytest.mark.timeout(300)

STEP = timedelta(minutes=15)
AUTUMN, SPRING = "2026-11-01", "2026-03-08"

TABLE = [
    # zone, expression, the day (New York) or the hours looked at (UTC), and when jobs are made (UTC)
    ("America/New_York", "30 1 * * *", AUTUMN, ["05:30"]),
    ("America/New_York", "0 1,2 * * *", AUTUMN, ["05:00", "07:00"]),
    ("America/New_York", "30 * * * *", AUTUMN, ["04:30", "05:30", "06:30", "07:30"]),
    ("America/New_York", "*/30 1 * * *", AUTUMN, ["05:00", "05:30", "06:00", "06:30"]),
    ("UTC", "30 5 * * *", AUTUMN, ["05:30"]),
    ("America/New_York", "30 2 * * *", SPRING, ["07:00"]),
    ("America/New_York", "15 2,3 * * *", SPRING, ["07:00", "07:15"]),
    ("America/New_York", "30 * * * *", SPRING, ["04:30", "05:30", "06:30", "07:30"]),
    ("America/New_York", "*/30 2 * * *", SPRING, []),
    ("UTC", "30 5 * * *", SPRING, ["05:30"]),
]
FIRST, LAST = "04:10", "08:00"
"""The hours (UTC) through which the clock goes."""


def at(day: str, hour: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour}:00+00:00")


@pytest.mark.parametrize("day", [AUTUMN, SPRING])
async def test_jobs_are_made_at_the_documented_instants(tmp_path, clock, day):
    rows = [(zone, cron, expected) for zone, cron, of, expected in TABLE if of == day]
    now = at(day, FIRST)
    clock.show(now)
    with quick_server(tmp_path, JOBYARD_SCHEDULE_CHECK_SECONDS="0.05", **clock.settings) as server:
        async with jobs_of(server) as jobs:
            made = []
            for zone, cron, _ in rows:
                schedule = schedule_pb2.Schedule(
                    cron=cron,
                    time_zone=zone,
                    overlap=schedule_pb2.OVERLAP_POLICY_ALLOW,
                    # The clock goes in leaps.
                    catch_up=schedule_pb2.CATCH_UP_POLICY_ALL,
                )
                made.append(await jobs.submit(1, schedule=schedule))
            while now < at(day, LAST):
                now += STEP
                clock.show(now)
                await asyncio.sleep(0.2)
            for job in made:
                async with asyncio.timeout(60):
                    while (await jobs.get(job)).schedule.next_due_time.ToDatetime(UTC) <= now:
                        await asyncio.sleep(0.05)
            schedules = schedule_service_pb2_grpc.ScheduleServiceStub(jobs.channel)
            for (zone, cron, expected), job in zip(rows, made, strict=True):
                fires = (await schedules.ListFires(schedule_access_pb2.ListFiresRequest(job=job.uid))).fires
                assert {fire.fate for fire in fires} <= {schedule_pb2.FIRE_FATE_MADE}, (zone, cron)
                instants = sorted(fire.due_time.ToDatetime(UTC) for fire in fires)
                assert [instant.strftime("%H:%M") for instant in instants] == expected, (zone, cron)
