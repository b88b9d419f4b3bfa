"""Executions: the jobs that are made of functions, for schedules, webhooks and users."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from typing import Any, Final

from jobyard_server.apis.qinling import names, scope
from jobyard_server.apis.qinling.functions import Target, find_target
from jobyard_server.domain.filter import Expression
from jobyard_server.domain.job import Job, NewJob, NewSubjob
from jobyard_server.domain.reason import Refusal, Refused
from jobyard_server.usecases.ports import DueTime, JobQuery, Reader

BY_JOB: Final = "Created by Job {id}"
BY_WEBHOOK: Final = "Created by Webhook {id}"

PLAIN: Final = "__function_input"
"""The member that holds an input which is no JSON object: the only argument of the function."""


def stored_input(text: str | None) -> Any:
    """The input as the function gets it: keyword arguments, or one argument for what is no object."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {PLAIN: text}
    return found if found is None or isinstance(found, dict) else {PLAIN: text}


def shown_input(stored: Any) -> str | None:
    """The input as clients see it."""
    if stored is None:
        return None
    if isinstance(stored, dict) and set(stored) == {PLAIN}:
        return str(stored[PLAIN])
    return json.dumps(stored, ensure_ascii=False)


def new_execution(
    target: Target,
    tenant: str,
    user: str,
    *,
    text: str | None,
    description: str | None,
    sync: bool,
    request_id: str = "",
) -> NewJob:
    """The job that executes a function once."""
    id_, given = names.new_id(), stored_input(text)
    return NewJob(
        api=names.API,
        tenant=tenant,
        actor=user,
        external_id=id_,
        definition=target.definition.id,
        definition_version=target.definition.version,
        queue=target.queue,
        fair_key=user,
        display_name=target.spec.name or "",
        spec=json.dumps({"alias": target.alias, "sync": sync, "input": given}, ensure_ascii=False),
        attributes={
            "function_id": target.function_id,
            "function_version": target.version,
            "description": description,
        },
        subjobs=(NewSubjob(_payload(id_, target, given)),),
        request_id=request_id,
    )


def _payload(id_: str, target: Target, given: Any) -> str:
    """What the worker that runs functions is told."""
    spec = target.spec
    told = {
        "execution": id_,
        "function": target.function_id,
        "version": target.version,
        "entry": spec.entry,
        "input": given,
        "timeout": spec.timeout,
        "cpu": spec.cpu,
        "memory": spec.memory_size,
        "package": spec.package,
        "sha256": spec.sha256,
    }
    return json.dumps(told, ensure_ascii=False)


async def make_jobs(read: Reader, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
    """The executions of due times: functions and aliases are looked up as they are now."""
    return [await _make_job(read, time.job) for time in times]


async def _make_job(read: Reader, job: Job) -> NewJob | Refusal:
    spec = json.loads(job.spec)
    try:
        target = await find_target(
            read,
            job.tenant,
            function_id=spec.get("function_id"),
            alias=spec.get("function_alias"),
            version=spec.get("function_version"),
        )
    except Refused as refused:
        return refused.refusal
    return new_execution(
        # What was run stands there, not by which name the job knows it.
        replace(target, alias=None),
        job.tenant,
        job.created_by,
        text=spec.get("function_input"),
        description=BY_JOB.format(id=job.external_id),
        sync=False,
    )


def jobs_of(read: Reader, tenant: str | None, where: Expression) -> AsyncIterator[Sequence[Job]]:
    """The jobs or executions that a list shows, page by page, the newest first."""

    def page(behind: Expression | None) -> Awaitable[Sequence[Job]]:
        return read.jobs(JobQuery(names.API, tenant, scope.joined(where, behind), limit=scope.PAGE))

    return scope.pages(page, lambda job: {"number": job.number})
