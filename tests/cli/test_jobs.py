"""submit, list, get, cancel: what they print, where, and with which exit code."""

import io
import json
import sys
import urllib.request

import pytest

from jobyard.jobs.v1 import job_access_pb2, state_pb2
from jobyard_server.cli.app import main


def rest(server, path):
    with urllib.request.urlopen(f"{server.url}/jobyard/v1/{path}", timeout=60) as answer:
        return answer.read().decode()


async def test_json_is_what_rest_prints_byte_for_byte(server, jobyard, jobs):
    payload = '{"b": 1.50, "a":[1,2]}'
    job = await jobs.submit(payload, labels={"kind": "ü"})
    got = await jobyard("get", job.number, "-o", "json")
    assert (got.code, got.err) == (0, "")
    assert got.out == rest(server, f"jobs/{job.uid}") + "\n"
    listed = await jobyard("list", "-f", f"queue = {jobs.queue}", "-o", "json")
    ours, theirs = json.loads(listed.out), json.loads(rest(server, f"jobs?filter=queue%20%3D%20{jobs.queue}"))
    assert ours["jobs"] == theirs["jobs"]
    assert list(ours) == list(theirs)


async def test_submit_takes_json_from_an_argument_a_file_and_standard_input(jobyard, jobs, tmp_path):
    file = tmp_path / "payload.json"
    file.write_text('{"from": "file"}')
    for given, stdin in (('{"from": "argument"}', ""), (f"@{file}", ""), ("-", '{"from": "stdin"}')):
        done = await jobyard("submit", "-q", jobs.queue, "-p", given, "-o", "json", stdin=stdin)
        job = json.loads(done.out)
        assert done.code == 0
        assert job["queue"] == jobs.queue
    listed = await jobyard("list", "-f", f"queue = {jobs.queue}", "-o", "name", "--order-by", "number")
    numbers = listed.out.split()
    assert len(numbers) == 3
    for number, source in zip(numbers, ("argument", "file", "stdin"), strict=True):
        subjobs = await jobs.subjob(await jobs.get(await _job(jobs, number)))
        assert json.loads(subjobs.payload) == {"from": source}


async def _job(jobs, number):
    return (await jobs.stub.GetJob(job_access_pb2.GetJobRequest(job=number))).job


async def test_submit_says_everything_that_can_be_said(jobyard, jobs):
    done = await jobyard(
        "submit", "-q", jobs.queue, "--name", "A name", "-l", "a=b", "-l", "c=d=e", "--priority", 3,
        "--key", jobs.queue, "--attempts", 4, "--keep", "2h", "--subjob", "1", "--subjob", "2", "-o", "json",
    )  # fmt: skip
    job = json.loads(done.out)
    assert (job["display_name"], job["labels"], job["priority"]) == ("A name", {"a": "b", "c": "d=e"}, 3)
    assert job["subjobs"]["pending"] == 2
    again = await jobyard("submit", "-q", jobs.queue, "--key", jobs.queue, "-o", "json")
    assert again.code == 1
    assert "IDEMPOTENCY_KEY_REUSED" in again.err


async def test_submit_takes_a_schedule(jobyard, jobs):
    done = await jobyard(
        "submit", "-q", jobs.queue, "-p", "1", "--cron", "0 6 1 1 *", "--time-zone", "Asia/Tokyo", "-o", "json"
    )
    job = json.loads(done.out)
    assert (job["mode"], job["schedule"]["cron"]) == ("MODE_SCHEDULED", "0 6 1 1 *")
    assert job["schedule"]["next_due_time"][4:] == "-12-31T21:00:00Z"
    wrong = await jobyard("submit", "-q", jobs.queue, "--cron", "61 * * * *")
    assert wrong.code == 1
    assert "schedule.cron" in wrong.err


async def test_the_same_key_gives_the_same_job(jobyard, jobs):
    first, second = [
        await jobyard("submit", "-q", jobs.queue, "-p", "1", "--key", f"k-{jobs.queue}", "-o", "name") for _ in range(2)
    ]
    assert first.out == second.out
    assert "had been submitted before" in second.err


@pytest.mark.parametrize(
    ("payload", "state", "code"), [("{}", "SUCCEEDED", 0), ('{"exit": 3}', "FAILED", 1)], ids=["well", "badly"]
)
async def test_submit_waits_if_asked_and_tells_the_outcome_by_its_exit_code(jobyard, payload, state, code):
    done = await jobyard("submit", "-p", payload, "--wait", "-o", "json")
    assert done.code == code
    assert json.loads(done.out)["state"] == f"STATE_{state}"


async def test_tables_are_plain_where_nobody_looks(jobyard, jobs):
    await jobs.submit(display_name="with \x1b[31mcolour\x1b[0m\nand a line")
    done = await jobyard("list", "-f", f"queue = {jobs.queue}")
    title, row = done.out.splitlines()
    assert title.split() == ["JOB", "STATE", "API", "DEFINITION", "QUEUE", "SUBMITTED", "TOOK", "ABOUT"]
    assert "○ PENDING" in row
    assert "\x1b" not in done.out
    assert "with" in row


async def test_a_job_is_shown_with_its_pieces(jobyard, jobs):
    job = await jobs.submit("", subjobs=[{"payload": "1", "key": "north"}, {"payload": "2"}], labels={"k": "v"})
    done = await jobyard("get", job.uid)
    assert job.uid in done.out
    assert "k=v" in done.out
    assert "0 north" in done.out
    assert done.out.count("○ PENDING") == 3


async def test_a_long_result_does_not_push_the_other_columns_away(jobyard, jobs):
    async with jobs.worker("bash", "-c", """printf '"%09000d"' 7 >$JOBYARD_RESULT_FILE"""):
        job = await jobs.until(await jobs.submit())
    done = await jobyard("get", job.number)
    title, row = done.out.splitlines()[-2:]
    assert title.split() == ["SUBJOB", "STATE", "ATTEMPTS", "QUEUE", "TOOK", "RESULT"]
    assert "✓ SUCCEEDED" in row
    assert jobs.queue in row
    assert row.endswith("00…")


async def test_jobs_that_are_there_are_shown_before_the_others_are_told(jobyard, jobs):
    first, last = [await jobs.submit() for _ in range(2)]
    done = await jobyard("get", first.number, "99999999", last.number, "-o", "name")
    assert (done.code, done.out.split()) == (1, [str(first.number), str(last.number)])
    assert "JOB_NOT_FOUND" in done.err


async def test_pages_go_on_where_the_one_before_ended(jobyard, jobs):
    for _ in range(3):
        await jobs.submit()
    condition = ("-f", f"queue = {jobs.queue}", "--order-by", "number", "-o", "json")

    async def listed(*arguments):
        done = await jobyard("list", *condition, *arguments)
        assert done.code == 0, done
        return json.loads(done.out)

    first = await listed("-n", 2)
    rest_ = await listed("--page-token", first["next_page_token"])
    everything = await listed("--all")
    assert len(first["jobs"]) == 2
    assert first["jobs"] + rest_["jobs"] == everything["jobs"]
    lines = await jobyard("list", *condition[:4], "-o", "jsonl")
    assert [json.loads(line) for line in lines.out.splitlines()] == everything["jobs"], lines


async def test_an_empty_list_teaches(jobyard, jobs):
    done = await jobyard("list", "-f", "queue = nobody")
    assert (done.code, done.out, done.err) == (0, "", "no job matches\n")


async def test_errors_say_what_why_what_next_and_the_request(jobyard):
    done = await jobyard("get", "987654321")
    assert (done.code, done.out) == (1, "")
    assert "987654321" in done.err
    assert "reason: JOB_NOT_FOUND" in done.err
    assert "next: look for it with: jobyard list" in done.err
    assert "request: " in done.err
    wrong = await jobyard("list", "-f", "colour = red")
    assert wrong.code == 1
    assert wrong.err.count("colour") == 1
    assert "INVALID_FILTER" in wrong.err
    bad = await jobyard("submit", "-p", "{oops")
    assert (bad.code, bad.out) == (1, "")
    assert "payload" in bad.err


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("submit", "-p", "@no/such/file"), "cannot be read", 2),
        (("submit", "-p", "-"), "no JSON in standard input", 2),
        (("submit", "-l", "novalue"), "KEY=VALUE", 2),
        (("submit", "--keep", "soon"), "is not a time", 2),
        (("submit", "--keep", "soon", "--wait"), "is not a time", 64),
        (("submit", "--wait", "--colour"), "No such option", 64),
        (("submit", "--wait", "-p", "{oops"), "payload", 5),
        (("wait",), "Missing argument", 64),
        (("wait", "1", "--timeout", "never"), "is not a time", 64),
        (("wait", "1", "--server", "no port"), "not the address", 64),
        (("logs", "1/x"), "JOB/SUBJOB", 2),
        (("list", "--server", "no port"), "not the address", 2),
        (("worker", "-q", "q", "--exec", ""), "--exec", 2),
        (("worker", "-q", "q", "--exec", "true", "--memory", "lots"), "amount of memory", 2),
        (("worker", "-q", "q", "--exec", "true", "--env", "JOBYARD_TOKEN"), "worker's own", 2),
        (("worker", "-q", "q", "--exec", "true", "--env", "A B"), "not the name of a variable", 2),
    ],
)
def test_wrong_arguments_are_told_and_by_which_code(server, monkeypatch, capsys, arguments, words, code):
    # In this process: each start of the command costs more than all that is looked at here.
    monkeypatch.setattr(sys, "argv", ["jobyard", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setenv("JOBYARD_SERVER", server.grpc)
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("serve", "--exec", "true"), "QUEUE=CMD", 2),
        (("serve", "--grpc", "nowhere"), "HOST:PORT", 1),
        (("serve", "--grpc", "0.0.0.0:0"), "open to others", 1),
        (("serve", "--config", "no/such/file"), "No such file", 1),
    ],
)
async def test_a_server_that_cannot_start_says_so_without_a_traceback(jobyard, arguments, words, code):
    done = await jobyard(*arguments)
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err


async def test_without_a_server_every_command_ends_with_4_and_says_how_to_start_one(jobyard):
    for arguments in (("list",), ("get", "1"), ("submit",), ("wait", "1", "--retry-for", "0"), ("cancel", "1")):
        done = await jobyard(*arguments, "--server", "127.0.0.1:1")
        assert done.code == 4, (arguments, done)
        assert "jobyard serve --dev" in done.err or "cannot be reached" in done.err
        assert done.out == ""


@pytest.mark.parametrize(
    ("form", "words"), [("https://{}", "it speaks no TLS"), ("nobody.invalid:1", "Domain name not found\n")]
)
async def test_a_server_that_cannot_be_reached_is_told_in_our_words_alone(jobyard, form, words):
    done = await jobyard("list", "--server", form.format(jobyard.server))
    assert done.code == 4
    assert done.err.startswith("error: the server at ")
    assert words in done.err


async def test_cancel_asks_jobs_to_end_each_for_itself(jobyard, jobs):
    waiting = await jobs.submit()
    done = await jobyard("cancel", waiting.number, "99999999", "-m", "not needed", "-o", "json")
    assert done.code == 1
    assert "JOB_NOT_FOUND" in done.err
    cancelled = json.loads(done.out)
    assert (cancelled["state"], cancelled["message"]) == ("STATE_CANCELLED", "not needed")


async def test_cancel_by_filter_shows_first_and_wants_a_yes(jobyard, jobs):
    kept = await jobs.submit(queue=f"{jobs.queue}-other")
    wanted = [await jobs.submit() for _ in range(3)]
    condition = ("cancel", "-f", f"queue = {jobs.queue}")
    dry = await jobyard(*condition, "--dry-run", "-o", "name")
    assert sorted(dry.out.split()) == sorted(str(job.number) for job in wanted)
    assert "3 would be cancelled" in dry.err
    unsure = await jobyard(*condition)
    assert unsure.code == 1
    assert "3 jobs match" in unsure.err
    assert (await jobs.get(wanted[0])).state == state_pb2.STATE_PENDING
    assert (await jobyard(*condition, "--yes")).code == 0
    assert {(await jobs.get(job)).state for job in wanted} == {state_pb2.STATE_CANCELLED}
    assert (await jobs.get(kept)).state == state_pb2.STATE_PENDING
    both = await jobyard("cancel", kept.number, "-f", "state = PENDING")
    assert both.code == 2
