"""What a program is given, and what is left of it: its environment, its input, its output, its children."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from jobyard.jobs.v1 import state_pb2
from jobyard_server.worker import environment
from jobyard_server.worker.keeper import processes
from jobyard_server.worker.plan import Limits

TELL = """
import json, os, sys
told = {"env": dict(os.environ), "in": sys.stdin.read()}
json.dump(told, open(os.environ["JOBYARD_RESULT_FILE"], "w"))
"""


async def tell(jobs, payload, **plan):
    async with jobs.worker(sys.executable, "-I", "-S", "-c", TELL, **plan):
        job = await jobs.until(await jobs.submit(payload))
    assert job.state == state_pb2.STATE_SUCCEEDED, job
    return job, json.loads((await jobs.subjob(job)).result)


async def test_the_payload_comes_in_byte_for_byte_and_the_job_is_named(jobs):
    payload = '{"ü" : [1.0, "\\u0000", 1e2]}'
    job, told = await tell(jobs, payload)
    env = told["env"]
    assert told["in"] == env["JOBYARD_PAYLOAD"] == payload
    assert env["JOBYARD_JOB"] == str(job.number)
    assert env["JOBYARD_JOB_UID"] == job.uid
    assert (env["JOBYARD_SUBJOB"], env["JOBYARD_ATTEMPT"]) == ("0", "1")
    assert (env["JOBYARD_QUEUE"], env["JOBYARD_API"]) == (jobs.queue, "jobs")
    assert not Path(env["JOBYARD_PAYLOAD_FILE"]).exists(), "the folder of an attempt goes with it"


async def test_a_large_payload_comes_on_standard_input_only(jobs):
    payload = json.dumps("x" * 200_000)
    _, told = await tell(jobs, payload)
    assert told["in"] == payload
    assert "JOBYARD_PAYLOAD" not in told["env"]


def test_of_the_workers_environment_programs_get_what_is_harmless_and_what_is_named():
    own = {
        "PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "JOBYARD_TOKEN": "secret", "JOBYARD_SERVER": "s",
        "AWS_SECRET_ACCESS_KEY": "secret", "LD_PRELOAD": "x", "REGION": "eu",
    }  # fmt: skip
    assert environment.passed(own) == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C"}
    assert environment.passed(own, ["REGION", "MODE=fast=1", "MISSING"]) == {
        "PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "REGION": "eu", "MODE": "fast=1",
    }  # fmt: skip
    for taken in ("JOBYARD_TOKEN", "JOBYARD_JOB=1", "=1", ""):
        with pytest.raises(environment.VariableError):
            environment.passed(own, [taken])


async def test_nothing_is_expanded_on_the_way_to_the_program(jobs):
    async with jobs.worker("printf", "%s|", "$HOME", "*", "; exit 1", "a b"):
        job = await jobs.until(await jobs.submit())
    assert await jobs.log(job) == b"$HOME|*|; exit 1|a b|"


async def test_what_a_program_prints_is_its_log_both_streams_in_order_and_every_byte(jobs):
    script = r"printf 'out\n'; printf 'err\n' >&2; printf '\377\000\r'; printf 'no newline'"
    async with jobs.worker("bash", "-c", script):
        job = await jobs.until(await jobs.submit())
    assert await jobs.log(job) == b"out\nerr\n\xff\x00\rno newline"


async def test_a_long_log_arrives_whole(jobs):
    lines = 400_000
    async with jobs.worker("seq", str(lines)):
        job = await jobs.until(await jobs.submit())
    log = await jobs.log(job)
    assert log == b"".join(b"%d\n" % number for number in range(1, lines + 1))
    assert (await jobs.attempts(job))[0].log_bytes == len(log)


async def test_a_log_can_be_read_while_the_program_runs(jobs):
    async with jobs.worker("bash", "-c", "echo begun; sleep 30"):
        job = await jobs.submit()
        await jobs.log_has(job, b"begun\n")
        assert (await jobs.get(job)).state == state_pb2.STATE_RUNNING
        await jobs.cancel(job)


async def test_output_beyond_the_limit_is_dropped_and_counted(jobs):
    limits = Limits(output_bytes=1000)
    async with jobs.worker("bash", "-c", "yes | head -c 5000000", limits=limits):
        job = await jobs.until(await jobs.submit())
    assert job.state == state_pb2.STATE_SUCCEEDED
    assert await jobs.log(job) == b"y\n" * 500 + b"\n[4999000 more bytes of output were not kept]\n"


def running_with(mark: str) -> list[int]:
    found = []
    for process in processes():
        try:
            if mark.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                found.append(process.pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "leave_behind",
    [
        "sleep {mark} & disown",
        "set -m; sleep {mark} & disown",
        "timeout 100 sleep {mark} & disown",
        "(sleep {mark} &) ; (sleep {mark} &)",
    ],
)
async def test_nothing_of_a_program_outlives_it(jobs, leave_behind):
    mark = f"8{time.monotonic_ns() % 10**9}"
    async with jobs.worker(
        "bash", "-c", leave_behind.format(mark=mark) + f"; pgrep -f 'sleep {mark}' > /dev/null && echo seen"
    ):
        job = await jobs.until(await jobs.submit())
        assert await jobs.log(job) == b"seen\n", "the test has to leave something behind"
        assert running_with(mark) == []


async def test_a_process_that_leaves_the_session_holds_nothing_up_and_ends_with_the_worker(jobs):
    mark = f"8{time.monotonic_ns() % 10**9}"
    async with jobs.worker("bash", "-c", f"setsid sleep {mark} & sleep 0.2; echo gone"):
        job = await jobs.until(await jobs.submit())
        assert job.state == state_pb2.STATE_SUCCEEDED
        assert await jobs.log(job) == b"gone\n"
    assert running_with(f"sleep\0{mark}") == []


async def test_no_zombie_is_left(jobs):
    # Each program has a child that outlives its parent, so that the keeper has to reap what it never started.
    async with jobs.worker("bash", "-c", "(sleep 0.1 &)", concurrency=4):
        job = await jobs.until(await jobs.submit("", subjobs=[{"payload": "1"}] * 12))
        assert job.state == state_pb2.STATE_SUCCEEDED
        async with asyncio.timeout(60):
            while zombies_below(os.getpid()):
                await asyncio.sleep(0.1)


def zombies_below(root: int) -> list[str]:
    parents: dict[int, int] = {}
    states: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)], states[int(folder.name)] = int(fields[1]), fields[0]

    def is_below(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == root:
                return True
        return False

    return [f"{pid}" for pid, state in states.items() if state == "Z" and is_below(pid)]
