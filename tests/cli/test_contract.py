"""explain and call: the whole contract from the terminal."""

import json

import pytest

from jobyard_server.cli.contract_names import everything, find
from jobyard_server.cli.errors import CommandError


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("Job", "jobyard.jobs.v1.Job"),
        ("job", "jobyard.jobs.v1.Job"),
        ("state", "jobyard.jobs.v1.State"),
        ("Job.state", "jobyard.jobs.v1.Job.state"),
        ("STATE_RUNNING", "jobyard.jobs.v1.State.STATE_RUNNING"),
        ("JobService/GetJob", "jobyard.jobs.v1.JobService.GetJob"),
        ("dataone.v1.JobService", "jobyard.dataone.v1.JobService"),
        ("/jobyard.jobs.v1.JobService/SubmitJob", "jobyard.jobs.v1.JobService.SubmitJob"),
    ],
)
def test_names_mean_what_people_mean(name, full):
    assert find(name, object).name == full


def test_every_full_name_is_found_and_everything_has_words():
    for item in everything():
        assert find(item.name, type(item.proto)).comment, item.name


def test_an_unknown_name_is_told_with_what_is_near():
    with pytest.raises(CommandError) as told:
        find("Jobs.stat", object)
    assert any("Job.state" in note for note in told.value.notes)


async def test_explain_prints_the_comments_of_the_contract(jobyard):
    services = await jobyard("explain")
    assert "jobyard.jobs.v1.JobService" in services.out
    message = await jobyard("explain", "RetryPolicy")
    assert "message jobyard.jobs.v1.RetryPolicy" in message.out
    assert "max_attempts" in message.out
    assert "Attempts in all; 0 means 1." in message.out
    method = await jobyard("explain", "WatchJobs")
    assert "WatchJobsRequest -> stream WatchJobsResponse" in method.out
    unknown = await jobyard("explain", "Nothing")
    assert (unknown.code, unknown.out) == (2, "")


async def test_call_reaches_methods_that_no_command_has(jobyard, jobs):
    job = await jobs.submit({"x": 1})
    answer = await jobyard("call", "ListSubjobs", json.dumps({"job": job.uid}))
    (subjob,) = json.loads(answer.out)["subjobs"]
    assert subjob["payload"] == {"x": 1}
    await jobs.cancel(job)
    stream = await jobyard("call", "WatchJobs", json.dumps({"job": job.uid, "until_terminal": True}))
    events = [json.loads(line)["event"] for line in stream.out.splitlines()]
    assert events[-1]["state"] == "STATE_CANCELLED"
    assert (await jobyard("call", "DeleteJob", f'{{"job": "{job.uid}"}}')).code == 0
    gone = await jobyard("call", "GetJob", f'{{"job": "{job.uid}"}}')
    assert "JOB_NOT_FOUND" in gone.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GetJob", "{"), "request is not a GetJobRequest"),
        (("GetJob", '{"colour": 1}'), "colour"),
        (("Job",), "no 'Job'"),
    ],
)
async def test_call_tells_what_is_wrong(jobyard, arguments, words):
    done = await jobyard("call", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
