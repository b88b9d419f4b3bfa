"""Between the messages of jobyard.jobs.v1 and the domain: leases, directives and how leases end."""

from __future__ import annotations

from typing import Final

from google.rpc import status_pb2

from jobyard.jobs.v1 import worker_lease_pb2, worker_settle_pb2
from jobyard_server.apis.jobs.mapping import (
    STATE,
    Fields,
    any_json,
    duration_or_none,
    instant,
    job_fields,
    numbers,
    seconds,
    subjob_fields,
)
from jobyard_server.apis.registration import Options
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.reason import Refusal
from jobyard_server.domain.stored_json import result_limit
from jobyard_server.rpc import failures
from jobyard_server.usecases.acquire import WorkRequest
from jobyard_server.usecases.ports import Directive, Lease, Settled
from jobyard_server.usecases.settle import Ending

DIRECTIVE: Final = numbers(Directive, worker_lease_pb2.Directive, "DIRECTIVE")


def work_request(message: worker_lease_pb2.AcquireRequest, options: Options) -> WorkRequest:
    """What a worker is ready to take."""
    return WorkRequest(
        session=message.session,
        worker=message.worker,
        queues=tuple(dict.fromkeys(message.queues)),
        limit=message.limit or 1,
        wait_seconds=seconds(message.wait) if message.HasField("wait") else 0.0,
        session_seconds=options.session_seconds,
    )


def lease_fields(lease: Lease) -> Fields:
    """A lease as its worker sees it."""
    return {
        "token": lease.token,
        "job": job_fields(lease.job),
        "subjob": subjob_fields(lease.subjob),
        "attempt": lease.attempt,
        "expire_time": instant(lease.expires_at),
        "time_limit": duration_or_none(lease.seconds),
        "result_limit": result_limit(lease.job.labels),
    }


def completion(message: worker_settle_pb2.Completion, field: str) -> Ending:
    """A lease that ended with success."""
    return Ending(
        token=message.token,
        outcome=Outcome.SUCCEEDED,
        result=_result(message.result, field),
        message=message.message,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        result_kept=message.result_kept,
        field=field,
    )


def failure(message: worker_settle_pb2.Failure, field: str) -> Ending:
    """A lease that ended with failure, or with a cancel that was carried out."""
    outcome = Outcome.FAILED
    if message.cancelled:
        outcome = Outcome.CANCELLED
    elif message.partial:
        outcome = Outcome.PARTIALLY_FAILED
    return Ending(
        token=message.token,
        outcome=outcome,
        result=_result(message.result, field),
        reason=message.reason or outcome.value,
        message=message.message,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        result_kept=message.result_kept,
        field=field,
    )


def release(token: str) -> Ending:
    """A lease given back."""
    return Ending(token=token, outcome=Outcome.RELEASED)


def _result(text: str, field: str) -> str:
    return any_json(f"{field}.result", text) if text else "null"


def settlement(settled: Settled | Refusal, request_id: str) -> worker_settle_pb2.Settlement:
    """What became of one lease."""
    if isinstance(settled, Refusal):
        failure = failures.from_refusal(settled, request_id)
        status = status_pb2.Status(code=failure.code, message=failure.message)
        for detail in failure.details:
            status.details.add().Pack(detail)
        return worker_settle_pb2.Settlement(error=status)
    return worker_settle_pb2.Settlement(
        subjob_state=STATE[settled.subjob_state],
        job_state=STATE[settled.job_state],
    )
