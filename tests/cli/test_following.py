"""watch, wait and logs: they follow to the end, over restarts of the server, and tell the outcome by exit codes."""

import asyncio
import json
import signal
import sys
import time

import pytest

from jobyard.jobs.v1 import state_pb2
from support.command import JOBYARD, environment
from support.running import Program
from support.yarding import jobs_of, quick_server

# Becomes the program it is told: shells start what runs in their background deaf to SIGINT. Not as `preexec_fn`:
# code that runs between fork and exec beside the threads of gRPC crashes now and then.
HEARING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


async def test_wait_tells_every_outcome(jobyard, jobs):
    well = await jobs.submit({}, queue="default")
    badly = await jobs.submit({"exit": 1}, queue="default")
    cancelled = await jobs.submit()
    waiting = await jobs.submit()
    await jobs.cancel(cancelled)
    assert (await jobyard("wait", well.number)).code == 0
    assert (await jobyard("wait", badly.number)).code == 1
    assert (await jobyard("wait", cancelled.number)).code == 2
    late = await jobyard("wait", well.number, waiting.number, "--timeout", "1s")
    assert late.code == 3
    assert f"not ended after 1 s: {waiting.number}" in late.err
    assert str(well.number) in late.out
    assert (await jobyard("wait", "99999999")).code == 5
    together = await jobyard("wait", well.number, cancelled.number, badly.number, "-o", "json")
    assert together.code == 1
    states = {json.loads(line)["number"]: json.loads(line)["state"] for line in together.out.splitlines()}
    assert states == {
        str(well.number): "STATE_SUCCEEDED",
        str(badly.number): "STATE_FAILED",
        str(cancelled.number): "STATE_CANCELLED",
    }


async def test_wait_can_end_with_the_first_failure(jobyard, jobs):
    waiting = await jobs.submit()
    badly = await jobs.submit({"exit": 1}, queue="default")
    began = time.monotonic()
    done = await jobyard("wait", waiting.number, badly.number, "--fail-fast")
    assert done.code == 1
    assert time.monotonic() - began < 60
    assert (await jobs.get(waiting)).state == state_pb2.STATE_PENDING


async def test_wait_waits_for_the_retry_of_a_job_whose_history_tells_of_an_end(jobyard, jobs):
    async with jobs.worker("false"):
        retry = {"max_attempts": 2, "initial_backoff": {"nanos": 500_000_000}}
        job = await jobs.submit(retry=retry)
        assert (await jobyard("wait", job.number)).code == 1
    assert len(await jobs.attempts(job)) == 2


@pytest.mark.timeout(300)
async def test_wait_watch_and_logs_go_on_after_a_restart_of_the_server(tmp_path):
    with quick_server(tmp_path) as server:
        go_on = tmp_path / "go-on"
        script = f"echo before; until [ -e {go_on} ]; do sleep 0.1; done; echo after"
        async with jobs_of(server) as jobs, jobs.worker("bash", "-c", script):
            job = await jobs.submit()
            await jobs.log_has(job, b"before")
            name = str(job.number)
            waiting, watching, logging = [
                Program(tmp_path, arguments[0], *arguments, "--server", server.grpc).start()
                for arguments in (("wait", name), ("watch", name, "-o", "jsonl"), ("logs", name, "-f"))
            ]
            async with asyncio.timeout(60):
                while "before" not in logging.text() or "RUNNING" not in watching.text():
                    await asyncio.sleep(0.1)
            server.kill()
            await asyncio.to_thread(server.start)
            go_on.touch()
            codes = [await asyncio.to_thread(program.process.wait, 120) for program in (waiting, watching, logging)]
    assert codes == [0, 0, 0], (waiting.text(), watching.text(), logging.text())
    assert logging.text() == "before\nafter\n"
    sequence = [int(json.loads(line)["event"]["job_seq"]) for line in watching.text().splitlines()]
    assert sequence == list(range(1, len(sequence) + 1)), "each event once, none missing"


async def test_watch_of_one_job_tells_its_history_and_ends_with_it(jobyard, jobs):
    job = await jobs.submit({"exit": 2}, queue="default")
    done = await jobyard("watch", job.number)
    lines = done.out.splitlines()
    assert done.code == 0
    assert "job submitted by anonymous" in lines[0]
    assert "✗ FAILED" in lines[-1]
    assert any(f"{job.number}/0#1" in line and "▷ RUNNING" in line for line in lines)


async def test_watch_of_all_jobs_goes_on_from_a_token(jobyard, jobs, server):
    token = json.loads((await jobyard("list", "-n", 1, "-o", "json")).out)["watch_token"]
    job = await jobs.submit()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HEARING, JOBYARD, "watch", "--token", token, "-f", f"queue = {jobs.queue}"),
        *("-o", "json", "--server", server.grpc),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    first = await asyncio.wait_for(process.stdout.readline(), 120)
    # Nothing more comes.
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert [json.loads(line)["job"]["uid"] for line in (first + out).splitlines()] == [job.uid]
    assert err == b""


async def test_an_old_or_damaged_token_is_told(jobyard):
    done = await jobyard("watch", "--token", "damaged")
    assert done.code == 1
    assert "resume_token" in done.err


async def test_logs_of_a_job_that_never_ran_and_of_one_that_is_not_there(jobyard, jobs):
    job = await jobs.submit()
    done = await jobyard("logs", job.number)
    assert (done.code, done.out) == (1, "")
    assert "never run" in done.err
    assert (await jobyard("logs", f"{job.number}/7")).code == 1
    assert (await jobyard("logs", "99999999")).code == 1


async def test_logs_of_several_pieces_come_one_after_the_other(jobyard, jobs):
    async with jobs.worker("bash", "-c", "echo piece $JOBYARD_SUBJOB $JOBYARD_SUBJOB_KEY"):
        job = await jobs.until(await jobs.submit("", subjobs=[{"key": "n"}, {"key": "s"}]))
    done = await jobyard("logs", job.number)
    assert (done.code, done.out) == (0, "piece 0 n\npiece 1 s\n")
    assert done.err == f"== {job.number}/0\n== {job.number}/1\n"
    assert (await jobyard("logs", f"{job.number}/1")).out == "piece 1 s\n"


async def test_a_followed_log_starts_before_the_job_does_and_goes_through_its_attempts(jobyard, jobs, server, tmp_path):
    retry = {"max_attempts": 2, "initial_backoff": {"nanos": 10_000_000}}
    job = await jobs.submit(retry=retry)
    following = Program(tmp_path, "following", "logs", str(job.number), "-f", "--server", server.grpc).start()
    await asyncio.sleep(1.5)
    # The first attempt ends once it was read: on a busy machine the program may only be starting.
    until_read = f"until [ -e {tmp_path}/read ]; do sleep 0.1; done"
    script = f"echo attempt $JOBYARD_ATTEMPT; {until_read}; test $JOBYARD_ATTEMPT = 2"
    async with jobs.worker("bash", "-c", script), asyncio.timeout(120):
        while "attempt 1" not in following.text():
            await asyncio.sleep(0.1)
        (tmp_path / "read").touch()
        code = await asyncio.to_thread(following.process.wait, 120)
    assert (code, following.text()) == (0, "attempt 1\n-- attempt 2\nattempt 2\n")
    assert (await jobyard("logs", job.number, "--attempt", 1)).out == "attempt 1\n"
