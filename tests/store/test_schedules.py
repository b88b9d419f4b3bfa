"""Schedules in the store: found when they are due, fired once, and gone with their job."""

from dataclasses import replace

import pytest

from jobyard_server.domain.cron import SecondsField
from jobyard_server.domain.event import EventType
from jobyard_server.domain.firing import Fate, Passed
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.domain.schedule import CatchUp, Overlap, Progress, Schedule
from jobyard_server.domain.state import State
from jobyard_server.store import reader_schedules
from jobyard_server.store.store import Store
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.suspend_job import suspend_job
from support.scheduling import EVERY_MINUTE, START, child, command, minute, scheduled
from support.storing import FakeClock, new_job

CALL = Call(Principal("ann", "acme"), "jobs")
GONE = Refusal(Reason.DEFINITION_REFERENCE_UNKNOWN, "There is no definition 'x\0'.")


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def open_store(url, clock):
    return lambda: Store(url, clock=clock)


async def due(store):
    _, found = await store.due_schedules(100)
    return list(found)


async def children(store, job):
    return [(one.due_at, one.child) for one in await store.read.fires(job, before=None, limit=100)]


async def test_a_scheduled_job_keeps_its_schedule(store):
    said = Schedule(
        "0 6 * * mon-fri", None, SecondsField.LAST, "Europe/Vienna", START, START + 10**15,
        Overlap.BUFFER_ALL, CatchUp.ALL, 5.5, 0.25,
    )  # fmt: skip
    submitted = await store.submit(scheduled(said, remaining=7))
    plain = await store.submit(new_job())
    job = submitted.job
    assert (job.state, job.counters.total) == (State.RUNNING, 0)
    kept = await store.read.schedule(job.number)
    assert kept.schedule == said
    assert kept.progress == scheduled(said, remaining=7).schedule.progress
    assert (kept.revision, kept.last_due, kept.fired_at) == (1, None, None)
    assert await store.read.schedule(plain.job.number) is None
    assert await store.read.schedules([plain.job.number, job.number]) == {job.number: kept}


async def test_schedules_are_due_in_the_order_of_their_times(store, clock):
    later = (await store.submit(scheduled(Schedule(at=minute(2))))).job
    first = (await store.submit(scheduled(Schedule(at=minute(1))))).job
    assert await due(store) == []
    clock.pass_by(59.999999)
    assert await due(store) == []
    clock.pass_by(0.000001)
    assert [one.job for one in await due(store)] == [first]
    clock.pass_by(60)
    assert [one.job for one in await due(store)] == [first, later]
    now, found = await store.due_schedules(1)
    assert (now, len(found)) == (minute(2), 1)
    for taken, left in (({first.number}, [later]), ({later.number}, [first]), ({first.number, later.number}, [])):
        _, found = await store.due_schedules(1, frozenset(taken))
        assert [one.job for one in found] == left


async def test_a_fire_makes_its_job_and_moves_on(store, clock):
    job = (await store.submit(scheduled())).job
    clock.pass_by(61)
    (one,) = await due(store)
    after = Progress(minute(2))
    fired = await store.fire([command(one, minute(1), after=after)])
    assert (fired.won, fired.jobs) == ((True,), 1)
    assert await due(store) == []
    kept = await store.read.schedule(job.number)
    assert (kept.progress, kept.revision, kept.last_due) == (after, 2, minute(1))
    assert kept.fired_at == clock.wall()
    ((due_at, number),) = await children(store, job.number)
    made = await store.read.job(number, api=None, tenant=None)
    assert (made.parent, made.due_at, made.state, made.counters.pending) == (job.number, minute(1), State.PENDING, 1)
    assert due_at == minute(1)
    assert (await store.read.job(job.number, api=None, tenant=None)).last_event == 1


async def test_what_was_overtaken_does_nothing(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(2)))])
    fired = await store.fire([command(one, minute(1), minute(2), after=Progress(minute(3)))])
    assert (fired.won, fired.jobs) == ((False,), 0)
    assert len(await children(store, one.job.number)) == 1
    assert await store.read.newest_number() == 2


async def test_a_due_time_is_made_once_whoever_asks(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(1)))])
    (again,) = await due(store)
    fired = await store.fire([command(again, minute(1), minute(2), after=Progress(minute(3)))])
    assert (fired.won, fired.jobs) == ((True,), 1)
    assert [at for at, _ in await children(store, one.job.number)] == [minute(2), minute(1)]


async def test_a_refused_job_is_told_and_may_be_made_up_for(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(2), backfill=(minute(1),)), new=GONE)])
    (record,) = await store.read.fires(one.job.number, before=None, limit=10)
    assert (record.fate, record.child) == (Fate.REFUSED, None)
    assert (record.reason, record.message) == (GONE.reason, GONE.message)
    told = (await store.read.events(after=0, limit=10, job=one.job.number))[-1]
    assert (told.type, told.reason, told.message, told.job_seq) == (
        EventType.FIRE_REFUSED, GONE.reason, GONE.message, 2,
    )  # fmt: skip
    (again,) = await due(store)
    await store.fire([command(again, minute(1), after=Progress(minute(2)))])
    ((_, number),) = await children(store, one.job.number)
    assert number is not None


async def test_the_store_may_refuse_a_job_too(store, clock):
    await store.submit(new_job(external_id="mine"))
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    same = child(one.job, minute(1), external_id="mine")
    fired = await store.fire([command(one, minute(1), after=Progress(minute(2)), new=same)])
    assert (fired.won, fired.jobs) == ((True,), 0)
    (record,) = await store.read.fires(one.job.number, before=None, limit=10)
    assert (record.fate, record.reason) == (Fate.REFUSED, Reason.ALREADY_EXISTS)


async def test_due_times_without_a_job_are_remembered_in_rows(store, clock):
    await store.submit(scheduled())
    clock.pass_by(1000)
    (one,) = await due(store)
    passed = (Passed(minute(1), minute(9), Fate.MISSED), Passed(minute(10), minute(10), Fate.SKIPPED))
    await store.fire([command(one, minute(11), after=Progress(minute(12)), passed=passed)])
    found = await store.read.fires(one.job.number, before=None, limit=100)
    assert [(record.due_at, record.until, record.fate) for record in found] == [
        (minute(11), None, Fate.MADE), (minute(10), None, Fate.SKIPPED), (minute(1), minute(9), Fate.MISSED),
    ]  # fmt: skip
    older = await store.read.fires(one.job.number, before=minute(11), limit=1)
    assert older == found[1:2]


async def test_a_schedule_with_nothing_left_ends_its_job(store, clock):
    job = (await store.submit(scheduled(Schedule(at=minute(1))))).job
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(None))])
    ended = await store.read.job(job.number, api=None, tenant=None)
    assert (ended.state, ended.terminal, ended.finished_at) == (State.SUCCEEDED, True, clock.wall())
    told = await store.read.events(after=0, limit=10, job=job.number)
    assert [(event.type, event.state) for event in told] == [
        (EventType.JOB_SUBMITTED, State.RUNNING), (EventType.JOB_CHANGED, State.SUCCEEDED),
    ]  # fmt: skip
    assert await due(store) == []


async def test_a_paused_schedule_is_not_heeded(store, clock):
    job = (await store.submit(scheduled())).job
    born_paused = (await store.submit(scheduled(paused=True))).job
    assert born_paused.state is State.SUSPENDED
    assert (await suspend_job(store, CALL, job.number)).state is State.SUSPENDED
    clock.pass_by(61)
    assert await due(store) == []
    await resume_job(store, CALL, job.number)
    await resume_job(store, CALL, born_paused.number)
    assert [one.job.number for one in await due(store)] == [job.number, born_paused.number]


async def test_a_pause_wins_over_a_fire_that_was_read_before(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await suspend_job(store, CALL, one.job.number)
    assert (await store.fire([command(one, minute(1), after=Progress(minute(2)))])).won == (False,)
    await resume_job(store, CALL, one.job.number)
    assert (await store.fire([command(one, minute(1), after=Progress(minute(2)))])).won == (False,)


async def test_a_cancelled_schedule_ends_and_its_jobs_go_on(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(1)))])
    assert (await cancel_job(store, CALL, one.job.number)).state is State.CANCELLED
    assert await due(store) == []
    ((_, number),) = await children(store, one.job.number)
    assert (await store.read.job(number, api=None, tenant=None)).state is State.PENDING


async def test_a_deleted_schedule_leaves_its_jobs(store, clock):
    await store.submit(scheduled())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(2)))])
    ((_, number),) = await children(store, one.job.number)
    await delete_job(store, CALL, one.job.number, force=True)
    assert await store.read.schedule(one.job.number) is None
    assert await children(store, one.job.number) == []
    made = await store.read.job(number, api=None, tenant=None)
    assert made.parent == one.job.number
    assert (await store.fire([command(one, minute(2), after=Progress(minute(3)))])).won == (False,)


async def test_what_waits_for_an_end_is_found_when_it_has_come(store, clock, hand):
    job = (await store.submit(scheduled(replace(EVERY_MINUTE, overlap=Overlap.BUFFER_ONE)))).job
    clock.pass_by(61)
    (one,) = await due(store)
    assert not one.live
    await store.fire([command(one, minute(1), after=Progress(minute(2)))])
    clock.pass_by(60)
    (one,) = await due(store)
    assert one.live
    await store.fire([command(one, after=Progress(minute(3), buffer=(minute(2),)))])
    assert await due(store) == []
    assert await store.read.live_children(job.number) == [2]
    (lease,) = await hand.take()
    assert await due(store) == []
    await hand.end(lease.token)
    (one,) = await due(store)
    assert (one.live, one.kept.progress) == (False, Progress(minute(3), buffer=(minute(2),)))
    assert await store.read.live_children(job.number) == []


async def test_a_set_is_carried_out_as_one_and_each_for_itself(store, clock):
    jobs = [(await store.submit(scheduled())).job for _ in range(30)]
    clock.pass_by(61)
    found = await due(store)
    assert [one.job for one in found] == jobs
    commands = [
        command(one, minute(1), after=Progress(minute(2)), new=GONE if index % 10 == 3 else None)
        for index, one in enumerate(found)
    ]
    commands[7] = replace(commands[7], revision=99)
    fired = await store.fire(commands)
    assert fired.won == tuple(index != 7 for index in range(30))
    assert fired.jobs == 26
    assert [len(await children(store, job.number)) for job in jobs] == [int(index != 7) for index in range(30)]


@pytest.mark.only("sqlite")
async def test_a_set_costs_a_few_statements_however_large(store, clock):
    for _ in range(4):
        await store.submit_many([scheduled() for _ in range(128)])
    clock.pass_by(61)
    _, found = await store.due_schedules(500)
    counts = []
    for part in (found[:2], found[2:500]):
        said = []
        await store.run(lambda tx, said=said: tx._unit.sets._connection.set_trace_callback(said.append))
        await store.fire([command(one, minute(1), after=Progress(minute(2))) for one in part])
        await store.run(lambda tx: tx._unit.sets._connection.set_trace_callback(None))
        own = [one for one in said if one.split()[0] in {"INSERT", "UPDATE", "SELECT", "WITH", "DELETE"}]
        counts.append(len([one for one in own if "data_version" not in one]))
    assert counts[0] == counts[1] <= 8, counts


async def test_old_fires_are_forgotten_step_by_step(store, clock):
    for _ in range(3):
        await store.submit(scheduled())
    for number in (1, 2):
        clock.pass_by(60)
        for one in await due(store):
            await store.fire([command(one, minute(number), after=Progress(minute(number + 1)))])
    assert await store.forget_fires(60, 0) == (0, 3)
    clock.pass_by(1)
    gone, after = await store.forget_fires(60, 0)
    assert (gone, after) == (3, 0)
    assert [len(await children(store, job)) for job in (1, 2, 3)] == [1, 1, 1]
    assert await store.forget_fires(60, 3) == (0, 0)


async def test_changing_a_schedule_changes_what_is_due(store, clock):
    job = (await store.submit(scheduled())).job
    clock.pass_by(61)
    (one,) = await due(store)
    odd = Schedule(cron="0 0 1 1 *", jitter=0.0)
    await store.run(lambda tx: tx.put_schedule(tx.job(job.number, api=None, tenant=None), odd, Progress(minute(5), 4)))
    assert await due(store) == []
    assert (await store.fire([command(one, minute(1), after=Progress(minute(2)))])).won == (False,)
    kept = await store.read.schedule(job.number)
    assert (kept.schedule, kept.progress, kept.revision) == (odd, Progress(minute(5), 4), 2)
    clock.pass_by(300)
    assert [one.kept for one in await due(store)] == [kept]


async def test_a_job_run_by_hand_has_a_moment_of_its_own(store, clock):
    job = (await store.submit(scheduled())).job

    def twice(tx):
        parent = tx.job(job.number, api=None, tenant=None)
        return [tx.fire_now(parent, new_job()).job for _ in range(2)]

    first, second = await store.run(twice)
    assert (first.parent, first.due_at, second.due_at) == (job.number, START, START + 1)
    assert [at for at, _ in await children(store, job.number)] == [START + 1, START]
    assert await store.run(lambda tx: list(tx.made_fires(job.number, START, START))) == [START]
    assert (await store.read.schedule(job.number)).revision == 1


@pytest.mark.parametrize(
    ("sql", "steps"),
    [
        (reader_schedules._ANY, ["ix_schedules_wake_at (wake_at", "ix_schedules_waits"]),
        (
            reader_schedules._DUE,
            ["ix_schedules_wake_at (wake_at", "PRIMARY KEY", "ix_standings_live_parent (live_parent"],
        ),
        (reader_schedules._FREE, ["ix_schedules_waits", "ix_standings_live_parent (live_parent", "PRIMARY KEY"]),
        (reader_schedules._LIVE, ["ix_standings_live_parent (live_parent"]),
        (reader_schedules._FIRES, ["PRIMARY KEY (job"]),
    ],
)
@pytest.mark.only("sqlite")
async def test_what_asks_for_due_schedules_looks_at_no_other(store, sql, steps):
    explained = await store.run(lambda tx: tx._unit.sets.all(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")))
    looks = [row[3] for row in explained if row[3].startswith(("SEARCH", "SCAN")) and "CONSTANT" not in row[3]]
    assert len(looks) == len(steps)
    for look, step in zip(looks, steps, strict=True):
        assert step in look


async def test_a_filter_finds_the_jobs_of_a_schedule(store, clock):
    await store.submit(scheduled())
    await store.submit(new_job())
    clock.pass_by(61)
    (one,) = await due(store)
    await store.fire([command(one, minute(1), after=Progress(minute(2)))])
    wanted = JobList(filter=f'parent = {one.job.number} AND due_time = "2027-01-15T08:01:00Z"')
    assert [job.number for job in (await list_jobs(store, CALL, wanted)).jobs] == [3]
