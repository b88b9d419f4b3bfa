"""A job as clients of SAS Viya see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from jobyard.viya.v1 import error_pb2, job_pb2, link_pb2, request_pb2
from jobyard_server.apis.viya import stored
from jobyard_server.apis.viya.states import NUMBERS, word_of
from jobyard_server.apis.viya.times import FOR_EVER, MILLI, timestamp
from jobyard_server.domain.job import Job, Micros, Subjob
from jobyard_server.domain.state import State

WARNING = "warning"
"""The state details of a job that is completed although a part of it failed."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What has to be known of a job beside its row."""

    subjob: Subjob | None
    beat_at: Micros | None
    """When it was last heard of over REST."""
    heard_at: Micros | None
    """When the worker that runs it was last heard of."""
    now: Micros


def job_message(job: Job, sight: Sight) -> job_pb2.Job:
    """The whole representation."""
    spec = json.loads(job.spec)
    message = job_pb2.Job(
        id=job.external_id or job.uid,
        state=NUMBERS[word_of(job)],
        state_details=_text(job, "state_details") or (WARNING if job.state is State.PARTIALLY_FAILED else ""),
        results=spec.get("results") or results_of(sight.subjob),
        error=_error(job, spec),
        job_request=request_of(spec),
        heartbeat_interval=interval_of(job),
        creation_time_stamp=timestamp(job.created_at),
        modified_time_stamp=timestamp(modified_at(job)),
        created_by=job.created_by,
        modified_by=_text(job, "modified_by") or job.created_by,
        elapsed_time=_elapsed(job, sight.now),
        log_location=_text(job, "log_location") or log_of(job, sight.subjob),
        submitted_by_application=_text(job, "submitter"),
        version=4,
    )
    if message.heartbeat_interval:
        message.heartbeat_time_stamp.CopyFrom(timestamp(heartbeat(job, sight)))
    if job.finished_at is not None:
        message.end_time_stamp.CopyFrom(timestamp(job.finished_at))
    if (expiration := expiration_of(job)) is not None:
        message.expiration_time_stamp.CopyFrom(timestamp(expiration))
    return message


def summary(job: Job) -> link_pb2.Summary:
    """The job in short."""
    return link_pb2.Summary(
        id=job.external_id or job.uid,
        name=job.display_name,
        type=link_pb2.RESOURCE_TYPE_JOB,
        creation_time_stamp=timestamp(job.created_at),
        modified_time_stamp=timestamp(modified_at(job)),
        created_by=job.created_by,
        modified_by=_text(job, "modified_by") or job.created_by,
        version=2,
    )


def modified_at(job: Job) -> Micros:
    """When a job last changed."""
    said = job.attributes.get("modified_at")
    return max(job.updated_at, said) if isinstance(said, int) else job.updated_at


def interval_of(job: Job) -> int:
    """Seconds within which a job has to be heard of."""
    found = job.attributes.get("heartbeat_interval")
    return found if isinstance(found, int) else 0


def heartbeat(job: Job, sight: Sight) -> Micros:
    """When a job was last heard of; its submit counts."""
    last = job.attributes.get("beat_at")
    told = [job.created_at, sight.beat_at or 0, sight.heard_at or 0, last if isinstance(last, int) else 0]
    if job.finished_at is not None and sight.subjob is not None and sight.subjob.attempt_no and last is None:
        # Its worker told the end.
        told.append(job.finished_at)
    return max(told)


def was_heard_of(job: Job, sight: Sight) -> bool:
    """Tell the jobs that have a heartbeat: because they must, or because somebody sent one."""
    return bool(interval_of(job) or sight.beat_at or job.attributes.get("beat_at"))


def expiration_of(job: Job) -> Micros | None:
    """When a job is removed because somebody wants it to; the server's own retention is not told."""
    said = job.attributes.get("expiration")
    if isinstance(said, int):
        return said if said < FOR_EVER else None
    return job.expires_at if job.finished_at is not None and job.attributes.get("expires_after") else None


def request_of(spec: Mapping[str, Any]) -> request_pb2.JobRequest:
    """The request that a job keeps."""
    request = request_pb2.JobRequest()
    json_format.ParseDict(spec.get("request", {}), request, ignore_unknown_fields=True)
    stored.shown(request)
    return request


def results_of(subjob: Subjob | None) -> dict[str, str]:
    """What a worker gave as the result: an object gives its members, anything else is one result."""
    found = json.loads(subjob.result) if subjob is not None else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        return {"result": _plain(found)}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def log_of(job: Job, subjob: Subjob | None) -> str:
    """Where the log is that a worker wrote; empty for a job that no worker has run."""
    return f"/files/files/{job.external_id or job.uid}" if subjob is not None and subjob.attempt_no else ""


def _error(job: Job, spec: Mapping[str, Any]) -> error_pb2.JobError | None:
    """Why a job failed: what its provider said, else what is known of its end."""
    if NUMBERS[word_of(job)] != job_pb2.JOB_STATE_FAILED:
        return None
    said = spec.get("error")
    if said:
        error = error_pb2.JobError(version=2)
        json_format.ParseDict(said, error, ignore_unknown_fields=True)
        return error
    details = [f"reason: {job.reason}"] if job.reason else []
    return error_pb2.JobError(message=job.message or "The job failed.", details=details, version=2)


def _elapsed(job: Job, now: Micros) -> int:
    until = now if job.finished_at is None else job.finished_at
    return max(0, until // MILLI - job.created_at // MILLI)


def _text(job: Job, name: str) -> str:
    found = job.attributes.get(name)
    return found if isinstance(found, str) else ""
