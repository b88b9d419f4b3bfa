"""Submitting: drafts resolved against definitions, requests answered once."""

from dataclasses import replace

import pytest

from jobyard_server.domain.catalog import NewDefinition
from jobyard_server.domain.job import IdempotencyKey, KeyReuse, LeaseLoss, NewSubjob, RetryPolicy
from jobyard_server.domain.reason import Reason
from jobyard_server.domain.state import Mode
from jobyard_server.usecases import drafts
from jobyard_server.usecases.definitions import put_definition
from jobyard_server.usecases.drafts import JobDraft, resolve
from jobyard_server.usecases.list_subjobs import list_subjobs
from jobyard_server.usecases.submit_job import submit_job
from jobyard_server.usecases.submit_jobs import MAX_JOBS, submit_jobs
from support.storing import refusal

PRINT = NewDefinition(
    "jobs", "acme", "op", "print", 3, display_name="Print", queue="printers", retry=RetryPolicy(5),
    on_lease_loss=LeaseLoss.TIME_OUT, resumable=True, spec='{"payload": {"copies":  1.0}}',
)  # fmt: skip


async def test_a_bare_draft_is_a_job_of_one_empty_piece(store, ann):
    job = (await submit_job(store, ann, JobDraft())).job
    assert (job.api, job.tenant, job.created_by, job.mode) == ("jobs", "acme", "ann", Mode.ONCE)
    assert (job.queue, job.fair_key, job.definition) == ("default", "ann", "")
    (subjob,) = (await list_subjobs(store, ann, job.uid)).subjobs
    assert subjob.payload == "null"
    (event,) = await store.read.events(after=0, limit=5)
    assert (event.actor, event.request_id) == ("ann", "r1")


async def test_what_a_draft_leaves_open_the_definition_says(store, ann):
    await put_definition(store, PRINT)
    new = await resolve(store.read, ann, JobDraft(definition="print"))
    assert (new.definition_version, new.queue, new.display_name) == (3, "printers", "Print")
    assert (new.retry, new.on_lease_loss, new.resumable) == (RetryPolicy(5), LeaseLoss.TIME_OUT, True)
    assert new.subjobs == (NewSubjob('{"copies":  1.0}'),)


async def test_what_a_draft_says_wins(store, ann):
    await put_definition(store, PRINT)
    draft = JobDraft(
        definition="print", queue="mine", payload="7", display_name="Mine", retry=RetryPolicy(1),
        on_lease_loss=LeaseLoss.REQUEUE, resumable=False, fair_key="f",
    )  # fmt: skip
    new = await resolve(store.read, ann, draft)
    assert (new.queue, new.display_name, new.retry) == ("mine", "Mine", RetryPolicy(1))
    assert (new.on_lease_loss, new.resumable, new.fair_key) == (LeaseLoss.REQUEUE, False, "f")
    assert new.subjobs == (NewSubjob("7"),)


async def test_pieces_are_taken_as_they_are(store, ann):
    pieces = (NewSubjob("1", "a"), NewSubjob("2", "b", "other"))
    assert (await resolve(store.read, ann, JobDraft(subjobs=pieces))).subjobs == pieces
    assert (await resolve(store.read, ann, JobDraft(subjobs=(), split_complete=False))).subjobs == ()


@pytest.mark.parametrize(
    ("definition", "version", "reason"),
    [
        ("unknown", 0, Reason.DEFINITION_REFERENCE_UNKNOWN),
        ("print", 4, Reason.DEFINITION_REFERENCE_UNKNOWN),
        ("asleep", 0, Reason.DEFINITION_DISABLED),
    ],
)
async def test_a_definition_has_to_be_there_and_enabled(store, ann, definition, version, reason):
    await put_definition(store, PRINT)
    await put_definition(store, replace(PRINT, id="asleep", enabled=False))
    refused = await refusal(submit_job(store, ann, JobDraft(definition=definition, definition_version=version)))
    assert refused.reason is reason
    assert refused.metadata["definition"] == definition
    assert [violation.field for violation in refused.violations] == ["definition"]
    assert await store.read.newest_number() == 0


async def test_a_definition_of_another_tenant_does_not_exist(store, stranger):
    await put_definition(store, PRINT)
    refused = await refusal(submit_job(store, stranger, JobDraft(definition="print")))
    assert refused.reason is Reason.DEFINITION_REFERENCE_UNKNOWN


async def test_the_size_of_a_job_is_bounded(store, ann, monkeypatch):
    monkeypatch.setattr(drafts, "MAX_BYTES", 100)
    assert (await submit_job(store, ann, JobDraft(payload='"' + "x" * 96 + '"'))).job.number == 1
    refused = await refusal(submit_job(store, ann, JobDraft(payload='"' + "x" * 97 + '"')))
    assert refused.reason is Reason.PAYLOAD_TOO_LARGE


async def test_the_same_request_is_answered_with_the_same_job(store, ann):
    draft = JobDraft(payload="1", request_key="once")
    first = await submit_job(store, ann, draft)
    again = await submit_job(store, replace(ann, request_id="r2"), draft)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.job == first.job


CHANGES = [
    {"definition": "print"},
    {"queue": "q"},
    {"payload": "2"},
    {"subjobs": (NewSubjob("1"),)},
    {"priority": 1},
    {"display_name": "x"},
    {"labels": {"a": "b"}},
    {"fair_key": "x"},
    {"retry": RetryPolicy(2)},
    {"mode": Mode.STANDING},
    {"expires_after": 5.0},
    {"spec": "[]"},
    {"resumable": True},
    {"external_id": "e"},
    {"attributes": {"a": 1}},
    {"on_lease_loss": LeaseLoss.TIME_OUT},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_another_request_under_the_key_is_refused(store, ann, change):
    await put_definition(store, PRINT)
    first = await submit_job(store, ann, JobDraft(payload="1", request_key="once"))
    refused = await refusal(submit_job(store, ann, replace(JobDraft(payload="1", request_key="once"), **change)))
    assert refused.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert refused.metadata["job"] == str(first.job.number)


async def test_keys_of_different_users_are_different(store, ann):
    draft = JobDraft(request_key="once")
    first = await submit_job(store, ann, draft)
    bob = replace(ann, principal=replace(ann.principal, user="bob"))
    assert (await submit_job(store, bob, draft)).job.number != first.job.number


async def test_a_refused_request_does_not_use_its_key_up(store, ann):
    await refusal(submit_job(store, ann, JobDraft(definition="print", request_key="once")))
    await put_definition(store, PRINT)
    assert not (await submit_job(store, ann, JobDraft(definition="print", request_key="once"))).replayed


async def test_an_api_may_bring_a_key_of_its_own(store, sample):
    def draft(fingerprint):
        return JobDraft(key=IdempotencyKey("k", fingerprint, KeyReuse.RETURN, None))

    first = await submit_job(store, sample, draft("one"))
    again = await submit_job(store, sample, draft("other"))
    assert (again.job, again.payload_differs) == (first.job, True)


async def test_many_are_accepted_in_order(store, ann):
    made = await submit_jobs(store, ann, [JobDraft(display_name=str(index)) for index in range(20)])
    assert [one.job.display_name for one in made] == [str(index) for index in range(20)]
    numbers = [one.job.number for one in made]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (JobDraft(definition="unknown"), Reason.DEFINITION_REFERENCE_UNKNOWN),
        (JobDraft(external_id="taken"), Reason.ALREADY_EXISTS),
        (JobDraft(payload="2", request_key="used"), Reason.IDEMPOTENCY_KEY_REUSED),
    ],
)
async def test_many_are_accepted_all_or_none(store, ann, bad, reason):
    await submit_jobs(store, ann, [JobDraft(external_id="taken"), JobDraft(payload="1", request_key="used")])
    refused = await refusal(submit_jobs(store, ann, [JobDraft(), JobDraft(), bad, JobDraft()], field="requests"))
    assert (refused.reason, refused.metadata["index"]) == (reason, "2")
    assert refused.message.startswith("requests[2]: ")
    assert await store.read.newest_number() == 2


async def test_too_many_are_refused(store, ann):
    refused = await refusal(submit_jobs(store, ann, [JobDraft()] * (MAX_JOBS + 1)))
    assert [violation.field for violation in refused.violations] == ["jobs"]
