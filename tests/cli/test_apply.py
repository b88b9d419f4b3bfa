"""apply: everything is checked before anything is sent, and each document says whether it changed anything."""

import json

import pytest

from jobyard.jobs.v1 import (
    definition_service_pb2,
    definition_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    record_service_pb2,
    record_service_pb2_grpc,
)

GOOD = """
queue:
  name: {name}
  priority: 7
  order: QUEUE_ORDER_FAIR
  time_slots:
    - {{start: "08:30", end: "18:00"}}
---
definition:
  id: {name}
  queue: {name}
  display_name: Grüße
  retry: {{max_attempts: 3, initial_backoff: 1.5s}}
  spec:
    payload: {{day: 2026-01-31, list: [1, 2.5, null]}}
---
# Nothing in here.
---
record: {{api: jobs, kind: note, id: {name}, body: [1]}}
---
executor: {{id: {name}, queue: {name}, disabled: true}}
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "catalog.yaml"


async def test_what_is_applied_is_there_and_applying_again_changes_nothing(jobyard, jobs, file):
    name = jobs.queue
    file.write_text(GOOD.format(name=name))
    first = await jobyard("apply", "-f", file)
    assert first.code == 0, first
    assert [line.split() for line in first.out.splitlines()] == [
        ["WHAT", "OUTCOME"],
        [f"queue/{name}", "created"],
        [f"definition/jobs/{name}", "created"],
        [f"record/jobs/note/{name}", "created"],
        [f"executor/jobs/{name}", "created"],
    ]
    stub = definition_service_pb2_grpc.DefinitionServiceStub(jobs.channel)
    kept = (await stub.GetDefinition(definition_service_pb2.GetDefinitionRequest(id=name))).definition
    assert json.loads(kept.spec) == {"payload": {"day": "2026-01-31", "list": [1, 2.5, None]}}
    assert (kept.queue, kept.display_name, kept.retry.max_attempts) == (name, "Grüße", 3)
    assert kept.retry.initial_backoff.ToNanoseconds() == 1_500_000_000
    for form in ((), ("--dry-run",)):
        again = await jobyard("apply", "-f", file, *form)
        assert [line.split()[1] for line in again.out.splitlines()[1:]] == ["unchanged"] * 4
    assert (await stub.GetDefinition(definition_service_pb2.GetDefinitionRequest(id=name))).definition == kept
    file.write_text(GOOD.format(name=name).replace("priority: 7", "priority: 8"))
    changed = await jobyard("apply", "-f", file)
    assert [line.split()[1] for line in changed.out.splitlines()[1:]] == ["changed", *["unchanged"] * 3]
    queues = queue_service_pb2_grpc.QueueServiceStub(jobs.channel)
    assert (await queues.GetQueue(queue_service_pb2.GetQueueRequest(name=name))).queue.priority == 8


async def test_a_job_of_an_applied_definition_takes_what_that_says(jobyard, jobs, file):
    file.write_text(GOOD.format(name=jobs.queue))
    assert (await jobyard("apply", "-f", file)).code == 0
    job = json.loads((await jobyard("submit", jobs.queue, "-o", "json")).out)
    assert (job["queue"], job["display_name"]) == (jobs.queue, "Grüße")


WRONG = """
queue: {name: good}
---
definition: {id: no-colour, colour: red}
---
executor: {id: ""}
---
job: {}
---
queue: {name: a, priority: 99}
---
queue: {name: a}
executor: {id: b}
---
definition: {id: twice, id: again}
"""


async def test_one_wrong_document_and_nothing_is_sent_every_mistake_told(jobyard, jobs, file):
    file.write_text(WRONG.replace("good", jobs.queue).rpartition("---")[0])
    done = await jobyard("apply", "-f", file)
    assert (done.code, done.out) == (1, "")
    assert "nothing was applied" in done.err
    for place, words in ((2, "colour"), (3, "executor.id"), (4, "one key"), (5, "queue.priority"), (6, "one key")):
        assert any(f"document {place}" in line and words in line for line in done.err.splitlines()), (place, done.err)
    assert "document 1" not in done.err
    assert (await jobyard("list", "-f", "queue = x")).code == 0
    queues = queue_service_pb2_grpc.QueueServiceStub(jobs.channel)
    assert jobs.queue not in {
        queue.name for queue in (await queues.ListQueues(queue_service_pb2.ListQueuesRequest())).queues
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WRONG.rpartition("---")[2], "given twice"),
        ("a: [", "cannot be read"),
        ("", "no document"),
        ("queue: !!python/object:os.system {}", "cannot be read"),
    ],
)
async def test_what_is_no_catalog_is_told(jobyard, file, text, words):
    file.write_text(text)
    done = await jobyard("apply", "-f", file)
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert "Traceback" not in done.err


async def test_what_only_the_server_knows_is_told_with_the_place(jobyard, jobs, file):
    file.write_text(f"record: {{api: jobs, kind: k, id: {jobs.queue}}}\n---\nqueue: {{name: x, time_zone: Mars/Base}}")
    done = await jobyard("apply", "-f", file)
    assert done.code == 1
    assert "time zone" in done.err
    assert "document 2: queue/x" in done.err
    assert f"record/jobs/k/{jobs.queue} created" in done.out


SPARSE = """
queue: {{name: {name}, rate: {{per_second: 2.5}}}}
---
definition: {{id: {name}, retry: {{initial_backoff: 0.5s}}, limits: {{}}}}
---
definition: {{id: {name}-2, limits: {{attempt: 90s}}}}
---
executor: {{id: {name}}}
---
record: {{api: jobs, kind: note, id: {name}}}
"""


async def test_what_a_document_leaves_unsaid_is_no_change_either_until_it_was_said(jobyard, jobs, file):
    name = jobs.queue
    file.write_text(SPARSE.format(name=name))
    first = await jobyard("apply", "-f", file, "-o", "jsonl")
    assert first.code == 0, first
    again = await jobyard("apply", "-f", file, "-o", "jsonl")
    assert again.out == first.out
    shown = [json.loads(line) for line in again.out.splitlines()]
    assert all(message["etag"] and message["update_time"] for message in shown)
    file.write_text(GOOD.format(name=name))
    assert (await jobyard("apply", "-f", file)).out.count(" changed") == 4
    file.write_text(SPARSE.format(name=name))
    dry = await jobyard("apply", "-f", file, "--dry-run")
    assert [line.split(maxsplit=1)[1].strip() for line in dry.out.splitlines()[1:]] == [
        *["would be changed"] * 2,
        "unchanged",
        *["would be changed"] * 2,
    ]


async def test_a_dry_run_sends_nothing(jobyard, jobs, file):
    file.write_text(GOOD.format(name=jobs.queue))
    done = await jobyard("apply", "-f", file, "--dry-run")
    assert done.code == 0
    assert done.out.count("would be created") == 4
    records = record_service_pb2_grpc.RecordServiceStub(jobs.channel)
    answer = await records.ListRecords(record_service_pb2.ListRecordsRequest(api="jobs", kind="note"))
    assert jobs.queue not in {record.id for record in answer.records}


async def test_standard_input_and_other_forms(jobyard, jobs):
    text = GOOD.format(name=jobs.queue)
    named = await jobyard("apply", "-f", "-", "-o", "name", stdin=text)
    assert named.out.split() == [
        f"queue/{jobs.queue}",
        f"definition/jobs/{jobs.queue}",
        f"record/jobs/note/{jobs.queue}",
        f"executor/jobs/{jobs.queue}",
    ]
    printed = await jobyard("apply", "-f", "-", "-o", "jsonl", stdin=text)
    queue, *_ = [json.loads(line) for line in printed.out.splitlines()]
    assert (queue["name"], queue["order"]) == (jobs.queue, "QUEUE_ORDER_FAIR")
