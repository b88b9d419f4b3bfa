"""From requests of jobyard.jobs.v1 to drafts of jobs, jobs that ran elsewhere, and selections of jobs."""

from __future__ import annotations

from dataclasses import replace

from jobyard.jobs.v1 import job_bulk_pb2, job_submit_pb2
from jobyard_server.apis.jobs.mapping import (
    MODE,
    STATE,
    any_json,
    attributes,
    object_json,
    retry_policy,
    seconds,
    time_limits,
    word,
)
from jobyard_server.apis.jobs.mapping_schedule import instant_of, schedule_draft
from jobyard_server.apis.jobs.template import template_text
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import IdempotencyKey, NewJob, NewSubjob
from jobyard_server.domain.reason import Refused, invalid
from jobyard_server.domain.state import Mode, State
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.change_jobs import USUAL_LIMIT, Selection
from jobyard_server.usecases.drafts import JobDraft
from jobyard_server.usecases.ports import ImportedJob


def draft(message: job_submit_pb2.SubmitJobRequest) -> JobDraft:
    """What a submit asks for."""
    if message.payload and message.subjobs:
        raise invalid("payload", "cannot stand beside subjobs; give each subjob its own payload")
    if message.definition_version and not message.definition:
        raise invalid("definition_version", "needs a definition")
    pieces = tuple(_subjob(f"subjobs[{place}]", piece) for place, piece in enumerate(message.subjobs))
    said = JobDraft(
        definition=message.definition,
        definition_version=message.definition_version,
        mode=_mode(message),
        queue=message.queue or None,
        payload=any_json("payload", message.payload) if message.payload else None,
        subjobs=pieces or None,
        labels=dict(message.labels),
        display_name=message.display_name,
        priority=message.priority,
        fair_key=message.fair_key,
        retry=retry_policy(message.retry) if message.HasField("retry") else None,
        limits=time_limits(message.limits) if message.HasField("limits") else None,
        expires_after=seconds(message.expires_after) if message.HasField("expires_after") else None,
        request_key=message.idempotency_key,
    )
    if not message.HasField("schedule"):
        return said
    # The rest of the request is what is made when the schedule is due; the schedule itself is kept like any other job.
    return replace(
        said,
        spec=template_text(said),
        schedule=schedule_draft(message.schedule),
        retry=None,
        limits=None,
        expires_after=None,
    )


def _mode(message: job_submit_pb2.SubmitJobRequest) -> Mode:
    scheduled = message.HasField("schedule")
    mode = word(MODE, message.mode, Mode.SCHEDULED if scheduled else Mode.ONCE, "mode")
    if (mode is Mode.SCHEDULED) is not scheduled:
        raise invalid("schedule", "belongs to MODE_SCHEDULED, and only to it")
    return mode


def _subjob(field: str, message: job_submit_pb2.NewSubjob) -> NewSubjob:
    return NewSubjob(
        payload=any_json(f"{field}.payload", message.payload) if message.payload else "null",
        key=message.key,
        queue=message.queue or None,
    )


def drafts(message: job_submit_pb2.SubmitJobsRequest) -> list[JobDraft]:
    """What a batch asks for; a refusal names the place."""
    found: list[JobDraft] = []
    for place, request in enumerate(message.requests):
        try:
            found.append(draft(request))
        except Refused as refused:
            raise _placed(refused, f"requests[{place}]") from None
    return found


def _placed(refused: Refused, place: str) -> Refused:
    violation = refused.refusal.violations[0]
    return invalid(f"{place}.{violation.field}", violation.description)


def imported(message: job_submit_pb2.ImportedJob, call: Call, options: Options, field: str) -> ImportedJob:
    """A job that ran elsewhere."""
    api = known_api(message.api, options.apis, f"{field}.api")
    complete = options.completes.get(api)
    key = message.idempotency_key
    new = NewJob(
        api=api,
        tenant=call.tenant,
        actor=message.created_by or call.user,
        external_id=message.external_id or None,
        # The body that came with the key is not known any more, and only a lasting identity is worth moving over.
        key=IdempotencyKey(key, fingerprint="", lifetime=None) if key else None,
        queue=message.queue or "default",
        fair_key=message.created_by or call.user,
        display_name=message.display_name,
        spec=object_json(f"{field}.spec", message.spec),
        attributes=attributes(f"{field}.attributes", message.attributes),
        subjobs=(NewSubjob(any_json(f"{field}.payload", message.payload) if message.payload else "null"),),
        request_id=call.request_id,
    )
    return ImportedJob(
        new=new if complete is None else complete(new),
        number=message.number or None,
        state=word(STATE, message.state, State.PENDING, f"{field}.state"),
        message=message.message,
        created_at=instant_of(message, "create_time", field),
        updated_at=instant_of(message, "update_time", field),
    )


def known_api(name: str, apis: frozenset[str], field: str) -> str:
    """The API a thing belongs to; empty means this one."""
    if not name:
        return "jobs"
    if name not in apis:
        raise invalid(field, f"names no API of this server; there are {', '.join(sorted(apis))}")
    return name


def selection(
    message: job_bulk_pb2.CancelJobsRequest | job_bulk_pb2.RetryJobsRequest | job_bulk_pb2.DeleteJobsRequest,
) -> Selection:
    """Which jobs are to be changed together."""
    return Selection(
        filter=message.filter,
        dry_run=message.dry_run,
        expected=message.expected_count if message.HasField("expected_count") else None,
        limit=message.limit or USUAL_LIMIT,
    )
