"""How jobs end is how their programs end: exit codes, signals, limits, results."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from jobyard.jobs.v1 import state_pb2, subjob_pb2
from jobyard_server.worker.embedded import ECHO
from jobyard_server.worker.plan import MIB, Limits


def python(*lines: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", "\n".join(lines))


def shell(script: str) -> tuple[str, ...]:
    return ("bash", "-c", script)


async def run(jobs, argv, payload=None, limits=None):
    async with jobs.worker(*argv, limits=limits):
        job = await jobs.until(await jobs.submit(payload))
        return job, await jobs.subjob(job), (await jobs.attempts(job))[-1]


async def test_exit_code_0_is_success_and_the_result_file_is_the_result_byte_for_byte(jobs):
    odd = '{"b":1.50,"a" : [ 1,2 ],"ü":"\\u00e9"}'
    program = python("import os, pathlib", f"pathlib.Path(os.environ['JOBYARD_RESULT_FILE']).write_text({odd!r})")
    job, subjob, attempt = await run(jobs, program)
    assert job.state == state_pb2.STATE_SUCCEEDED
    assert subjob.result == odd
    assert (attempt.outcome, attempt.exit_code) == (subjob_pb2.ATTEMPT_OUTCOME_SUCCEEDED, 0)
    assert attempt.HasField("exit_code")


@pytest.mark.parametrize(
    ("printed", "result"),
    [
        ('working\n{"done": true}\n', '{"done": true}'),
        ("working\n[1, 2]\n\n", "[1, 2]"),
        ('{"done": true}\nafterwards', "null"),
        ("42\n", "null"),
        ("{not json}\n", "null"),
        ("", "null"),
    ],
)
async def test_without_a_result_file_the_last_line_is_the_result_if_it_is_an_object_or_array(jobs, printed, result):
    job, subjob, _ = await run(jobs, ("printf", "%s", printed))
    assert job.state == state_pb2.STATE_SUCCEEDED
    assert subjob.result == result


@pytest.mark.parametrize(("content", "words"), [("{oops", "is not JSON"), ("NaN", "is not JSON")])
async def test_a_damaged_result_is_a_failure_that_says_so(jobs, content, words):
    job, subjob, attempt = await run(jobs, shell(f"echo '{content}' > $JOBYARD_RESULT_FILE"))
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "RESULT_INVALID")
    assert words in subjob.message
    assert attempt.exit_code == 0


async def test_another_exit_code_is_a_failure_that_names_the_last_line_and_keeps_the_result(jobs):
    job, subjob, attempt = await run(
        jobs, shell("echo no such customer; echo '{\"part\": 1}' > $JOBYARD_RESULT_FILE; exit 7")
    )
    assert (job.state, job.reason) == (state_pb2.STATE_FAILED, "EXIT_CODE")
    assert "exit code 7" in subjob.message
    assert "no such customer" in subjob.message
    assert subjob.result == '{"part": 1}'
    assert (attempt.outcome, attempt.exit_code) == (subjob_pb2.ATTEMPT_OUTCOME_FAILED, 7)


async def test_a_signal_is_a_failure_without_exit_code(jobs):
    job, subjob, attempt = await run(jobs, shell("kill -SEGV $$"))
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "SIGNAL")
    assert "SIGSEGV" in subjob.message
    assert not attempt.HasField("exit_code")


async def test_a_program_that_takes_too_long_is_stopped_and_told_first(jobs):
    script = "trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done"
    limits = Limits(timeout_seconds=2, grace_seconds=60)
    job, subjob, _ = await run(jobs, shell(script), limits=limits)
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "TIMED_OUT")
    assert b"told" in await jobs.log(job)


async def test_a_program_is_stopped_at_the_time_limit_of_its_job(jobs):
    job = await jobs.submit(limits={"attempt": {"seconds": 2}, "total": {"seconds": 60}})
    before = await jobs.subjob(job)
    assert before.deadline.ToDatetime() == job.create_time.ToDatetime() + timedelta(seconds=60)
    async with jobs.worker(*shell("trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done")):
        ended = await jobs.until(job)
    assert (ended.state, ended.reason) == (state_pb2.STATE_FAILED, "ATTEMPT_TIMED_OUT")
    (attempt,) = await jobs.attempts(job)
    assert (attempt.outcome, attempt.exit_code) == (subjob_pb2.ATTEMPT_OUTCOME_FAILED, 0)
    assert b"told" in await jobs.log(job)
    assert not (await jobs.subjob(job)).HasField("deadline")


async def test_one_that_does_not_listen_is_killed_after_the_grace_period(jobs):
    limits = Limits(timeout_seconds=1.5, grace_seconds=0.3)
    _, subjob, attempt = await run(jobs, shell("trap '' TERM; while :; do sleep 0.05; done"), limits=limits)
    assert subjob.reason == "TIMED_OUT"
    took = attempt.end_time.ToDatetime() - attempt.start_time.ToDatetime()
    assert 1.7 < took.total_seconds() < 60


async def test_a_program_that_uses_too_much_memory_is_killed(jobs):
    grow = python(
        "import time",
        "kept = []",
        "for _ in range(200):",
        "    kept.append(bytearray(b'x' * (4 << 20)))",
        "    time.sleep(0.05)",
    )
    job, subjob, _ = await run(jobs, grow, limits=Limits(memory_bytes=64 * MIB))
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "MEMORY")


async def test_one_that_takes_it_all_at_once_does_not_get_it(jobs):
    job, _, attempt = await run(jobs, python("bytearray(1 << 30)"), limits=Limits(memory_bytes=64 * MIB))
    assert job.state == state_pb2.STATE_FAILED
    assert attempt.exit_code == 1
    assert b"MemoryError" in await jobs.log(job)


async def test_a_program_that_uses_too_much_processor_time_is_killed(jobs):
    job, subjob, _ = await run(jobs, python("while True: pass"), limits=Limits(cpu_seconds=1))
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "CPU_TIME")


async def test_a_program_that_cannot_be_started_is_a_failure_with_the_reason(jobs, tmp_path):
    job, subjob, _ = await run(jobs, (str(tmp_path / "gone"),))
    assert (job.state, subjob.reason) == (state_pb2.STATE_FAILED, "NOT_STARTED")
    assert "No such file" in subjob.message


async def test_a_failed_attempt_is_followed_by_another_one_as_the_job_says(jobs):
    program = shell('test "$JOBYARD_ATTEMPT" = 2')
    async with jobs.worker(*program):
        retry = {"max_attempts": 3, "initial_backoff": {"nanos": 10_000_000}}
        job = await jobs.until(await jobs.submit(retry=retry))
        assert job.state == state_pb2.STATE_SUCCEEDED
        assert [attempt.outcome for attempt in await jobs.attempts(job)] == [
            subjob_pb2.ATTEMPT_OUTCOME_FAILED,
            subjob_pb2.ATTEMPT_OUTCOME_SUCCEEDED,
        ]


async def test_programs_run_at_once_up_to_the_concurrency_and_no_further(jobs, tmp_path):
    script = (
        f"touch {tmp_path}/$JOBYARD_SUBJOB; sleep 0.3; ls {tmp_path} | wc -l > {tmp_path}/../most-$JOBYARD_SUBJOB;"
        f" rm {tmp_path}/$JOBYARD_SUBJOB"
    )
    async with jobs.worker(*shell(script), concurrency=3):
        job = await jobs.until(await jobs.submit("", subjobs=[{"payload": "1"}] * 8))
    assert job.state == state_pb2.STATE_SUCCEEDED
    most = [int(path.read_text()) for path in tmp_path.parent.glob("most-*")]
    assert len(most) == 8
    assert 2 <= max(most) <= 3


async def test_the_progress_file_is_seen_while_the_program_runs(jobs):
    script = "echo first > $JOBYARD_PROGRESS_FILE; echo half way >> $JOBYARD_PROGRESS_FILE; sleep 30"
    async with jobs.worker(*shell(script)):
        job = await jobs.submit()
        while (await jobs.subjob(job)).message != "half way":
            assert (await jobs.get(job)).state in {state_pb2.STATE_PENDING, state_pb2.STATE_RUNNING}
        await jobs.cancel(job)


def test_the_echo_program_gives_the_payload_back(tmp_path):
    result = tmp_path / "result"
    told = {"JOBYARD_JOB": "1", "JOBYARD_ATTEMPT": "1", "JOBYARD_RESULT_FILE": str(result)}
    payload = json.dumps({"exit": 4, "other": "ü"})
    done = subprocess.run(ECHO, input=payload.encode(), env=told, capture_output=True, check=False)
    assert done.returncode == 4
    assert result.read_text() == payload
