"""Messages from the domain, and the words of states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jobyard.qinling.v1 import (
    alias_service_pb2,
    execution_pb2,
    function_pb2,
    job_pb2,
    runtime_service_pb2,
    version_service_pb2,
    webhook_pb2,
)
from jobyard_server.apis.qinling import names
from jobyard_server.apis.qinling.executions import shown_input
from jobyard_server.apis.qinling.functions import AliasSpec, FunctionSpec, VersionSpec
from jobyard_server.apis.qinling.times import changed_at, timestamp
from jobyard_server.domain.catalog import Definition, Executor, Record
from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.job import Job, Subjob
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import KeptSchedule

FIELDS: Final = ApiFields(
    {
        "function_id": Kind.TEXT,
        "function_alias": Kind.TEXT,
        "function_version": Kind.INT,
        "description": Kind.TEXT,
    },
    indexed=("function_id", "definition"),
)

WORDS: Final[Mapping[State, str]] = {
    State.PENDING: "running",
    State.RUNNING: "running",
    State.SUSPENDED: "paused",
    State.CANCELLING: "running",
    State.SUCCEEDED: "done",
    State.FAILED: "failed",
    State.PARTIALLY_FAILED: "failed",
    State.CANCELLED: "cancelled",
}
"""Words of states on the row; an execution that is done is told as ``success``."""

_STATUS: Final[Mapping[State, job_pb2.JobStatus.ValueType]] = {
    State.SUSPENDED: job_pb2.JOB_STATUS_PAUSED,
    State.SUCCEEDED: job_pb2.JOB_STATUS_DONE,
    State.CANCELLED: job_pb2.JOB_STATUS_CANCELLED,
}

FAILURE: Final = json.dumps({"output": "Function execution failed."})
"""The result of an execution that came to nothing without a word of the function."""

RUNNING: Final = frozenset({State.PENDING, State.RUNNING, State.SUSPENDED, State.CANCELLING})

EXECUTION_WORDS: Final[Mapping[execution_pb2.ExecutionStatus.ValueType, str]] = {
    execution_pb2.EXECUTION_STATUS_RUNNING: "running",
    execution_pb2.EXECUTION_STATUS_SUCCESS: "success",
    execution_pb2.EXECUTION_STATUS_FAILED: "failed",
    execution_pb2.EXECUTION_STATUS_ERROR: "error",
    execution_pb2.EXECUTION_STATUS_CANCELLED: "cancelled",
}

EXECUTION_STATES: Final[Mapping[execution_pb2.ExecutionStatus.ValueType, frozenset[State]]] = {
    execution_pb2.EXECUTION_STATUS_RUNNING: RUNNING,
    execution_pb2.EXECUTION_STATUS_SUCCESS: frozenset({State.SUCCEEDED}),
    execution_pb2.EXECUTION_STATUS_FAILED: frozenset({State.FAILED, State.PARTIALLY_FAILED}),
    execution_pb2.EXECUTION_STATUS_ERROR: frozenset({State.FAILED, State.PARTIALLY_FAILED}),
    execution_pb2.EXECUTION_STATUS_CANCELLED: frozenset({State.CANCELLED}),
}
"""Where executions of a status may stand; ``execution_status`` tells which of two it is."""


def job_message(job: Job, kept: KeptSchedule) -> job_pb2.Job:
    """A job of this API from the domain."""
    spec, progress = json.loads(job.spec), kept.progress
    first = spec["first_execution_time"]
    due = progress.next_due if progress.next_due is not None else kept.last_due
    return job_pb2.Job(
        id=job.external_id or job.uid,
        name=spec.get("name"),
        function_id=spec.get("function_id"),
        function_alias=spec.get("function_alias"),
        function_version=spec.get("function_version") or 0,
        function_input=spec.get("function_input"),
        status=_STATUS.get(job.state, job_pb2.JOB_STATUS_RUNNING),
        pattern=kept.schedule.cron or None,
        count=progress.remaining,
        first_execution_time=timestamp(first),
        next_execution_time=timestamp(first if due is None else due),
        project_id=job.tenant,
        created_at=timestamp(job.created_at),
        updated_at=changed_at(
            max(job.updated_at, kept.fired_at or 0), changed=job.revision > 1 or kept.fired_at is not None
        ),
    )


def execution_message(job: Job, subjob: Subjob) -> execution_pb2.Execution:
    """An execution from the domain."""
    spec = json.loads(job.spec)
    return execution_pb2.Execution(
        id=job.external_id or job.uid,
        function_id=_text(job.attributes.get("function_id")),
        function_version=_number(job.attributes.get("function_version")),
        function_alias=spec.get("alias"),
        description=_text(job.attributes.get("description")) or None,
        status=execution_status(job, subjob),
        sync=bool(spec.get("sync")),
        input=shown_input(spec.get("input")),
        result=_result(job, subjob),
        project_id=job.tenant,
        created_at=timestamp(job.created_at),
        updated_at=changed_at(job.updated_at, changed=job.revision > 1),
    )


def execution_status(job: Job, subjob: Subjob) -> execution_pb2.ExecutionStatus.ValueType:
    """How an execution stands: a function that failed has said so in its result, an execution that failed has none."""
    if job.state in RUNNING:
        return execution_pb2.EXECUTION_STATUS_RUNNING
    if job.state is State.SUCCEEDED:
        return execution_pb2.EXECUTION_STATUS_SUCCESS
    if job.state is State.CANCELLED:
        return execution_pb2.EXECUTION_STATUS_CANCELLED
    if _said(subjob):
        return execution_pb2.EXECUTION_STATUS_FAILED
    return execution_pb2.EXECUTION_STATUS_ERROR


def _result(job: Job, subjob: Subjob) -> str | None:
    if job.state in RUNNING:
        return None
    if job.state is State.SUCCEEDED or _said(subjob):
        return subjob.result if subjob.result not in {"", "null"} else None
    return FAILURE


def _said(subjob: Subjob) -> bool:
    """Whether the worker that runs functions has reported on the function."""
    found = json.loads(subjob.result or "null")
    return isinstance(found, dict) and "output" in found


def function_message(definition: Definition, count: int) -> function_pb2.Function:
    """A function from its definition."""
    spec = FunctionSpec.of(definition.spec)
    return function_pb2.Function(
        id=definition.id,
        name=spec.name,
        description=spec.description,
        cpu=spec.cpu,
        memory_size=spec.memory_size,
        timeout=spec.timeout,
        runtime_id=spec.runtime_id,
        code=json.dumps(spec.code),
        entry=spec.entry,
        count=count,
        latest_version=spec.latest_version,
        project_id=definition.tenant,
        **_times(definition),
    )


def version_message(definition: Definition, count: int) -> version_service_pb2.FunctionVersion:
    """A version from its definition."""
    spec = VersionSpec.of(definition.spec)
    return version_service_pb2.FunctionVersion(
        id=spec.uid,
        function_id=definition.base,
        version_number=spec.number,
        description=spec.description,
        count=count,
        project_id=definition.tenant,
        **_times(definition),
    )


def alias_message(record: Record) -> alias_service_pb2.FunctionAlias:
    """An alias from its record."""
    spec = AliasSpec.of(record.body)
    return alias_service_pb2.FunctionAlias(
        id=spec.uid,
        name=record.id,
        description=spec.description,
        function_id=spec.function_id or "",
        function_version=spec.function_version or 0,
        project_id=record.tenant,
        **_times(record),
    )


def webhook_message(record: Record) -> webhook_pb2.Webhook:
    """A webhook from its record."""
    spec = AliasSpec.of(record.body)
    return webhook_pb2.Webhook(
        id=record.id,
        function_id=spec.function_id,
        function_alias=spec.function_alias,
        function_version=spec.function_version,
        description=spec.description,
        project_id=record.tenant,
        **_times(record),
    )


def runtime_message(executor: Executor) -> runtime_service_pb2.Runtime:
    """A runtime from its executor."""
    spec = json.loads(executor.spec)
    return runtime_service_pb2.Runtime(
        id=executor.id,
        name=spec.get("name"),
        image=executor.queue.removeprefix(names.queue_of("")),
        description=spec.get("description"),
        is_public=spec.get("is_public", True),
        trusted=spec.get("trusted", True),
        status="available",
        project_id=executor.tenant,
        **_times(executor),
    )


def _times(kept: Definition | Record | Executor) -> dict[str, Any]:
    return {
        "created_at": timestamp(kept.created_at),
        "updated_at": changed_at(kept.updated_at, changed=kept.revision > 1),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
