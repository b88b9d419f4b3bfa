"""Definitions, executors, queues, records and imports as callers put, find and remove them."""

from dataclasses import replace

import pytest

from jobyard_server.domain.catalog import NewDefinition, NewExecutor, Queue, QueueStatus, TimeSlot
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import State
from jobyard_server.usecases import definitions, executors, queues, records
from jobyard_server.usecases.import_jobs import MAX_JOBS, import_jobs
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.ports import ImportedJob
from support.storing import new_job, refusal


async def walked(page_of, items):
    """All pages of two, and the tokens they had."""
    found, tokens, token = [], [], ""
    while True:
        page = await page_of(size=2, token=token)
        found += [one.id for one in getattr(page, items)]
        if not (token := page.next_page_token):
            return found, tokens
        tokens.append(token)


async def test_definitions_of_a_tenant(store, ann, stranger):
    for id_ in "cabde":
        await definitions.put_definition(store, NewDefinition("jobs", "acme", "ann", id_))
    await definitions.put_definition(store, NewDefinition("jobs", "other", "eve", "z"))
    found, tokens = await walked(lambda **how: definitions.list_definitions(store, ann, **how), "definitions")
    assert found == list("abcde")
    refused = await refusal(definitions.list_definitions(store, ann, api="sample", token=tokens[0]))
    assert refused.reason is Reason.INVALID_PAGE_TOKEN
    assert (await definitions.get_definition(store, ann, "a")).id == "a"
    for verb in (definitions.get_definition, definitions.delete_definition):
        assert (await refusal(verb(store, stranger, "a"))).reason is Reason.DEFINITION_NOT_FOUND
        assert (await refusal(verb(store, ann, "a", api="sample"))).reason is Reason.DEFINITION_NOT_FOUND
    await definitions.delete_definition(store, ann, "a")
    assert (await refusal(definitions.get_definition(store, ann, "a"))).reason is Reason.DEFINITION_NOT_FOUND


async def test_executors_of_a_tenant(store, ann, stranger):
    for id_ in "cab":
        await executors.put_executor(store, NewExecutor("sample", "acme", "ann", id_))
    found, _ = await walked(lambda **how: executors.list_executors(store, ann, **how), "executors")
    assert found == list("abc")
    assert (await executors.get_executor(store, ann, "a", api="sample")).id == "a"
    for verb in (executors.get_executor, executors.delete_executor):
        assert (await refusal(verb(store, stranger, "a", api="sample"))).reason is Reason.EXECUTOR_NOT_FOUND
        assert (await refusal(verb(store, ann, "a"))).reason is Reason.EXECUTOR_NOT_FOUND
    await executors.delete_executor(store, ann, "a", api="sample")
    assert (await refusal(executors.get_executor(store, ann, "a", api="sample"))).reason is Reason.EXECUTOR_NOT_FOUND


async def test_records_of_a_tenant(store, ann, stranger):
    for id_ in "cab":
        await records.put_record(store, ann, "hook", id_, '{"id": 1}', attributes={"n": 1})
    found, _ = await walked(lambda **how: records.list_records(store, ann, "hook", **how), "records")
    assert found == list("abc")
    record = await records.get_record(store, ann, "hook", "a")
    assert (record.body, record.attributes, record.created_by) == ('{"id": 1}', {"n": 1}, "ann")
    for verb in (records.get_record, records.delete_record):
        assert (await refusal(verb(store, stranger, "hook", "a"))).reason is Reason.RECORD_NOT_FOUND
        assert (await refusal(verb(store, ann, "other", "a"))).reason is Reason.RECORD_NOT_FOUND
    await records.delete_record(store, ann, "hook", "a")
    assert (await refusal(records.get_record(store, ann, "hook", "a"))).reason is Reason.RECORD_NOT_FOUND


async def test_queues(store):
    for name in ("night", "day", "evening"):
        await queues.put_queue(store, Queue(name))
    first = await queues.list_queues(store, size=2)
    second = await queues.list_queues(store, size=2, token=first.next_page_token)
    assert [queue.name for queue in (*first.queues, *second.queues)] == ["day", "evening", "night"]
    assert second.next_page_token == ""
    await queues.delete_queue(store, "day")
    for verb in (queues.get_queue, queues.delete_queue):
        assert (await refusal(verb(store, "day"))).reason is Reason.QUEUE_NOT_FOUND


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "queue.time_zone"),
        ({"time_zone": "../../etc/passwd"}, "queue.time_zone"),
        ({"time_zone": "/etc/passwd"}, "queue.time_zone"),
        ({"time_zone": "Europe"}, "queue.time_zone"),
        ({"time_zone": "a\0b"}, "queue.time_zone"),
        ({"time_zone": ""}, "queue.time_zone"),
        ({"slots": (TimeSlot(0, 1440), TimeSlot(5, 5))}, "queue.time_slots[1]"),
        ({"slots": (TimeSlot(0, 1441),)}, "queue.time_slots[0]"),
        ({"slots": (TimeSlot(-1, 5),)}, "queue.time_slots[0]"),
        ({"status": QueueStatus.SCHEDULED}, "queue.time_slots"),
    ],
)
async def test_a_queue_that_cannot_work_is_refused(store, change, field):
    refused = await refusal(queues.put_queue(store, replace(Queue("night"), **change)))
    assert refused.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.violations] == [field]
    assert await store.read.queue("night") is None


async def test_imports_are_all_or_none(store, ann):
    good, bad = ImportedJob(new_job(), 5, State.SUCCEEDED), ImportedJob(new_job(), -1, State.SUCCEEDED)
    assert (await refusal(import_jobs(store, [good, bad]))).reason is Reason.INVALID_FIELD
    assert (await list_jobs(store, ann, JobList())).jobs == ()
    assert [job.number for job in await import_jobs(store, [good, replace(good, number=3)])] == [5, 3]
    refused = await refusal(import_jobs(store, [good] * (MAX_JOBS + 1)))
    assert [violation.field for violation in refused.violations] == ["jobs"]
