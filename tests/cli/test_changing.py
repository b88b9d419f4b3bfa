"""suspend, resume, retry and delete, and changes of all jobs that match."""

import json

import pytest

from jobyard.jobs.v1 import job_control_pb2, state_pb2


async def failed(jobs, **fields):
    job = await jobs.submit(**fields)
    request = job_control_pb2.FinishJobRequest(job=job.uid, state=state_pb2.STATE_FAILED, reason="TOLD")
    return (await jobs.stub.FinishJob(request, timeout=60)).job


async def test_jobs_are_held_back_and_let_go_on(jobyard, jobs):
    first, second = [await jobs.submit() for _ in range(2)]
    done = await jobyard("suspend", first.number, second.uid, "-m", "not now", "-o", "jsonl")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [(job["state"], job["message"]) for job in told] == [("STATE_SUSPENDED", "not now")] * 2
    done = await jobyard("resume", first.number, second.number, "-o", "name")
    assert done.out.split() == [str(first.number), str(second.number)]
    assert (await jobs.get(second)).state == state_pb2.STATE_PENDING


async def test_a_job_or_a_piece_of_it_is_run_once_more(jobyard, jobs):
    job = await failed(jobs, payload="", subjobs=[{"payload": "1"}, {"payload": "2"}])
    piece = await jobyard("retry", f"{job.number}/1", "-m", "once more", "-o", "json")
    assert piece.code == 0
    shown = json.loads(piece.out)
    assert (shown["subjobs"]["pending"], shown["subjobs"]["cancelled"], shown["message"]) == (1, 1, "once more")
    again = await jobyard("retry", f"{job.number}/1")
    assert again.code == 1
    assert "STATE_CONFLICT" in again.err
    whole = await failed(jobs)
    assert json.loads((await jobyard("retry", whole.number, "-o", "json")).out)["state"] == "STATE_PENDING"


@pytest.mark.parametrize("name", ["1/", "1/x", "1/-1"])
async def test_a_piece_is_named_by_its_place(jobyard, name):
    done = await jobyard("retry", name)
    assert done.code == 2
    assert "JOB/SUBJOB" in done.err


async def test_jobs_are_deleted_each_for_itself(jobyard, jobs):
    ended, waits = await failed(jobs), await jobs.submit()
    done = await jobyard("delete", ended.number, waits.number)
    assert done.code == 1
    assert f"deleted {ended.number}" in done.err
    assert "JOB_NOT_FINISHED" in done.err
    assert "--force" in done.err
    assert (await jobyard("delete", waits.number, "--force")).code == 0
    assert "JOB_NOT_FOUND" in (await jobyard("get", waits.number)).err


@pytest.mark.parametrize(
    ("verb", "done", "begin", "after"),
    [
        ("retry", "retried", failed, "PENDING"),
        ("delete", "deleted", failed, None),
        ("cancel", "cancelled", lambda jobs: jobs.submit(), "CANCELLED"),
    ],
    ids=["retry", "delete", "cancel"],
)
async def test_all_that_match_are_changed_after_a_look(jobyard, jobs, verb, done, begin, after):
    wanted = [await begin(jobs) for _ in range(3)]
    condition = (verb, "-f", f"queue = {jobs.queue}")
    dry = await jobyard(*condition, "--dry-run", "-o", "name")
    assert dry.out.split() == [str(job.number) for job in wanted]
    assert f"3 would be {done}" in dry.err
    unsure = await jobyard(*condition)
    assert unsure.code == 1
    assert "3 jobs match" in unsure.err
    sure = await jobyard(*condition, "--yes", "-o", "json")
    assert (sure.code, json.loads(sure.out)) == (0, {"matched": "3", "changed": "3", "more": False})
    assert f"3 {done}" in sure.err
    listed = await jobyard("list", "-f", f"queue = {jobs.queue}", "-o", "jsonl")
    states = [json.loads(line)["state"] for line in listed.out.splitlines()]
    assert states == ([f"STATE_{after}"] * 3 if after else [])
    nothing = await jobyard(*condition, "--yes")
    assert (nothing.code, nothing.err) == (0, f"no job to {verb} matches\n")


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
async def test_a_dry_run_of_jobs_that_are_named_shows_them_and_changes_nothing(jobyard, jobs, verb):
    job = await (jobs.submit() if verb == "cancel" else failed(jobs))
    before = await jobs.get(job)
    dry = await jobyard(verb, job.number, "--dry-run", "-o", "name")
    assert (dry.code, dry.out) == (0, f"{job.number}\n")
    assert "nothing was changed" in dry.err
    assert await jobs.get(job) == before


async def test_a_dry_run_tells_of_jobs_that_are_not_there_and_takes_pieces(jobyard, jobs):
    job = await failed(jobs, payload="", subjobs=[{"payload": "1"}, {"payload": "2"}])
    dry = await jobyard("retry", f"{job.number}/0", f"{job.number}/1", "99999999", "--dry-run", "-o", "name")
    assert (dry.code, dry.out) == (1, f"{job.number}\n")
    assert "JOB_NOT_FOUND" in dry.err


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
async def test_either_jobs_or_a_filter(jobyard, verb):
    for arguments in ((verb,), (verb, "1", "-f", "state = FAILED")):
        done = await jobyard(*arguments)
        assert done.code == 2
        assert "either which jobs, or --filter" in done.err
