"""The life of a worker process: it leaves in good order, dies without leaving anything, outlives its server."""

import asyncio
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import grpc
import pytest

from jobyard.jobs.v1 import job_service_pb2_grpc, job_submit_pb2, state_pb2, subjob_pb2
from support.running import Worker
from support.yarding import jobs_of, quick_server


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def pid_of(jobs, job) -> int:
    await jobs.log_has(job, b"\n")
    return int((await jobs.log(job)).split()[0])


async def test_on_sigterm_it_lets_work_end_takes_no_more_and_exits_with_0(server, jobs):
    with Worker(server, jobs.queue, "bash -c 'echo begun; sleep 1; echo done'", "--drain", "20s") as worker:
        first = await jobs.submit()
        await jobs.log_has(first, b"begun")
        worker.signal(signal.SIGTERM)
        second = await jobs.submit()
        first = await jobs.until(first)
        assert await asyncio.to_thread(worker.process.wait, 60) == 0
    assert first.state == state_pb2.STATE_SUCCEEDED
    assert (await jobs.get(second)).state == state_pb2.STATE_PENDING
    assert "left in good order" in worker.text()


async def test_what_does_not_end_in_time_is_stopped_and_given_back_without_spending_an_attempt(server, jobs):
    command = "bash -c 'trap \"echo told; exit 0\" TERM; echo $$; while :; do sleep 0.05; done'"
    with Worker(server, jobs.queue, command, "--drain", "0s") as worker:
        job = await jobs.submit()
        pid = await pid_of(jobs, job)
        worker.signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.process.wait, 60) == 0
    assert not alive(pid)
    assert (await jobs.get(job)).state == state_pb2.STATE_PENDING
    assert (await jobs.subjob(job)).attempts == 0
    assert [a.outcome for a in await jobs.attempts(job)] == [subjob_pb2.ATTEMPT_OUTCOME_RELEASED]
    async with jobs.worker("true"):
        assert (await jobs.until(job)).state == state_pb2.STATE_SUCCEEDED


async def test_killed_it_leaves_no_program_and_its_work_goes_to_another_worker(server, jobs):
    # The child is in a group of its own, where no signal to the program's group would find it.
    command = "bash -c 'echo $$; timeout 600 sleep 500 & echo $!; wait'"
    with Worker(server, jobs.queue, command, name=jobs.queue) as worker:
        job = await jobs.submit()
        await jobs.log_has(job, b"\n")
        while len(pids := (await jobs.log(job)).split()) < 2:
            await asyncio.sleep(0.05)
        worker.kill()
        until = time.monotonic() + 60
        while any(alive(int(pid)) for pid in pids):
            assert time.monotonic() < until, f"{pids} outlived their worker"
            await asyncio.sleep(0.05)
    async with jobs.worker("true"):
        job = await jobs.until(job)
    assert job.state == state_pb2.STATE_SUCCEEDED
    outcomes = [attempt.outcome for attempt in await jobs.attempts(job)]
    assert outcomes == [subjob_pb2.ATTEMPT_OUTCOME_LOST, subjob_pb2.ATTEMPT_OUTCOME_SUCCEEDED]


async def test_a_program_outlives_a_restart_of_the_server(tmp_path):
    with quick_server(tmp_path) as server:
        async with jobs_of(server) as jobs:
            command = "bash -c 'echo before; sleep 3; echo after'"
            with Worker(server, jobs.queue, command):
                job = await jobs.submit()
                await jobs.log_has(job, b"before")
                server.kill()
                await asyncio.to_thread(server.start)
                job = await jobs.until(job)
            assert job.state == state_pb2.STATE_SUCCEEDED
            (attempt,) = await jobs.attempts(job)
            assert attempt.number == 1
            assert await jobs.log(job) == b"before\nafter\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that wants tokens: one of a worker of the queue `mine`, and one of an operator."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens.yaml"
    lines = [
        f"- {{name: {name}, sha256: {hashlib.sha256(name.encode()).hexdigest()}, user: {name}, tenant: t, {more}}}"
        for name, more in {
            "worker-token": "roles: [worker], queues: [mine]",
            "operator-token": "roles: [operator]",
        }.items()
    ]
    tokens.write_text("\n".join(lines))
    with quick_server(folder, JOBYARD_AUTH_TOKENS=str(tokens)) as running:
        yield running


@pytest.mark.parametrize(
    ("queue", "token", "words"),
    [
        ("mine", "", "JOBYARD_TOKEN"),
        ("mine", "wrong", "JOBYARD_TOKEN"),
        ("mine", "operator-token", "permission"),
        ("theirs", "worker-token", "may not serve the queue"),
    ],
)
async def test_a_worker_that_is_not_let_in_says_why_and_ends(guarded, queue, token, words):
    worker = Worker(guarded, queue, "true", name=f"refused-{queue}-{token}", JOBYARD_TOKEN=token).start()
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    assert words in worker.text()
    assert "Traceback" not in worker.text()


async def test_a_program_never_sees_the_token_of_its_worker(guarded, tmp_path):
    seen = tmp_path / "seen"
    command = f"bash -c 'env > {seen}.part; cat /proc/$PPID/cmdline >> {seen}.part; mv {seen}.part {seen}'"
    with Worker(guarded, "mine", command, name="trusted", JOBYARD_TOKEN="worker-token"):
        metadata = (("authorization", "Bearer operator-token"),)
        async with grpc.aio.insecure_channel(guarded.grpc) as channel:
            stub = job_service_pb2_grpc.JobServiceStub(channel)
            await stub.SubmitJob(job_submit_pb2.SubmitJobRequest(queue="mine"), metadata=metadata)
            async with asyncio.timeout(60):
                while not seen.exists():
                    await asyncio.sleep(0.05)
    assert "JOBYARD_JOB=" in seen.read_text()
    assert "worker-token" not in seen.read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [("no-such-program --x", "no program"), ("bash -c 'open", "cannot be read"), ("  ", "empty")],
)
def test_a_command_that_cannot_run_is_refused_before_any_work_is_taken(server, command, words):
    worker = Worker(server, "q", command, name=f"bad-{len(command)}").start()
    assert worker.process.wait(60) == 2
    assert words in worker.text()


async def test_without_a_server_it_waits_for_one(tmp_path):
    server = quick_server(tmp_path)
    marker = tmp_path / "ran"
    worker = Worker(server, "q", f"touch {marker}").start()
    try:
        await asyncio.sleep(1.5)
        assert worker.process.poll() is None, worker.text()
        with server:
            async with jobs_of(server) as jobs:
                job = await jobs.until(await jobs.submit(queue="q"))
                assert job.state == state_pb2.STATE_SUCCEEDED
                assert marker.exists()
    finally:
        assert worker.stop() == 0


async def test_the_worker_of_a_development_server_runs_what_it_is_told_and_leaves_first(tmp_path):
    program = f"other={sys.executable} -c 'print(6 * 7)'"
    with quick_server(tmp_path, "--dev", "--exec", program) as server:
        async with jobs_of(server) as jobs:
            echoed = await jobs.until(await jobs.submit({"say": "hello"}, queue="default"))
            assert (await jobs.subjob(echoed)).result == '{"say": "hello"}'
            other = await jobs.until(await jobs.submit(queue="other"))
            assert await jobs.log(other) == b"42\n"
            left = await jobs.submit({"sleep": 600}, queue="default")
            await jobs.log_has(left, b"slept")
        began = time.monotonic()
        assert server.stop(120) == 0
        # The program would sleep for minutes.
        assert time.monotonic() - began < 100
        server.start()
        async with jobs_of(server) as jobs:
            (first, *_) = await jobs.attempts(left)
            assert first.outcome == subjob_pb2.ATTEMPT_OUTCOME_RELEASED
            await jobs.cancel(left)


def test_this_test_process_has_no_children_left():
    # The keepers of all workers that ran inside this process have ended with them.
    me = os.getpid()
    children = [
        folder.name
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and _parent(folder) == me and b"keeper.py" in (folder / "cmdline").read_bytes()
    ]
    assert children == []


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
