"""JobService: cron jobs over functions, created, listed, changed and removed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from jobyard.qinling.v1 import job_calls_pb2, job_pb2, job_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, scope
from jobyard_server.apis.qinling.executions import jobs_of
from jobyard_server.apis.qinling.functions import find_target
from jobyard_server.apis.qinling.planning import Wish, planned, replanned
from jobyard_server.apis.registration import Options
from jobyard_server.domain.event import EventType
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import Control, Mode
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import JobDraft
from jobyard_server.usecases.ports import KeptSchedule, Store, Tx
from jobyard_server.usecases.submit_job import submit_job

IS_JOB = Comparison("mode", Op.EQ, Mode.SCHEDULED.value)
"""What tells jobs from executions."""


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Answers calls about jobs."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateJob(
        self, request: job_calls_pb2.CreateJobRequest, context: object
    ) -> job_calls_pb2.CreateJobResponse:
        call, read = scope.current_call(), self._store.read
        if request.job:
            raise refusals.no_job(request.job)
        names.check_uuids(request)
        if not (request.function_alias or request.function_id):
            raise refusals.wrong("function_id", "Either function_alias or function_id must be provided.")
        count = request.count if request.HasField("count") else None
        schedule = planned(request.pattern, request.first_execution_time, count, await read.now())
        target = await find_target(
            read,
            call.tenant,
            function_id=request.function_id,
            alias=request.function_alias,
            version=request.function_version,
        )
        known = {
            "function_id": request.function_id or None,
            "function_alias": request.function_alias or None,
            "function_version": request.function_version,
        }
        draft = JobDraft(
            definition=target.definition.id,
            resolved=target.definition,
            external_id=names.new_id(),
            spec=_spec({**known, **_said(request), "first_execution_time": schedule.next_due}),
            attributes=known,
            display_name=request.name,
            schedule=schedule,
        )
        job = (await submit_job(self._store, call, draft)).job
        kept = await read.schedule(job.number)
        assert kept is not None
        return job_calls_pb2.CreateJobResponse(job=mapping.job_message(job, kept))

    @override
    async def ListJobs(self, request: job_calls_pb2.ListJobsRequest, context: object) -> job_calls_pb2.ListJobsResponse:
        call = scope.current_call()
        project = request.project_id if request.HasField("project_id") else None
        seen = scope.seen(call, all_projects=request.all_projects, project_id=project)
        jobs = jobs_of(self._store.read, seen.tenant, scope.joined(IS_JOB, seen.where))
        return job_calls_pb2.ListJobsResponse(jobs=await scope.told(self._messages(jobs)))

    async def _messages(self, pages: AsyncIterator[Sequence[Job]]) -> AsyncGenerator[job_pb2.Job]:
        async for page in pages:
            kept = await self._store.read.schedules([job.number for job in page])
            for job in page:
                if job.number in kept:
                    yield mapping.job_message(job, kept[job.number])

    @override
    async def GetJob(self, request: job_calls_pb2.GetJobRequest, context: object) -> job_calls_pb2.GetJobResponse:
        id_, read = names.path_id(request.id), self._store.read
        job = await read.job(id_, api=names.API, tenant=scope.seen_tenant(scope.current_call()))
        kept = await read.schedule(job.number) if job is not None else None
        if job is None or kept is None or job.external_id != id_:
            raise refusals.job_unknown(id_)
        return job_calls_pb2.GetJobResponse(job=mapping.job_message(job, kept))

    @override
    async def UpdateJob(
        self, request: job_calls_pb2.UpdateJobRequest, context: object
    ) -> job_calls_pb2.UpdateJobResponse:
        id_, call = names.path_id(request.id), scope.current_call()
        if request.HasField("function_id"):
            names.read_uuid(request.function_id)
        pattern = request.pattern if request.HasField("pattern") else None
        status = request.status if request.HasField("status") else None
        wish, said = Wish(status, pattern, request.next_execution_time), _said(request)

        def update(tx: Tx) -> job_pb2.Job:
            job, kept = _locked(tx, id_, scope.seen_tenant(call))
            if job.state.terminal:
                raise refuse(Reason.JOB_FINISHED, f"Job {id_} is {job.state}.", job=id_, state=job.state)
            return mapping.job_message(*_updated(tx, call, (job, kept), wish, said))

        return job_calls_pb2.UpdateJobResponse(job=await self._store.run(update))

    @override
    async def DeleteJob(
        self, request: job_calls_pb2.DeleteJobRequest, context: object
    ) -> job_calls_pb2.DeleteJobResponse:
        id_, call = names.path_id(request.id), scope.current_call()

        def delete(tx: Tx) -> None:
            job, _ = _locked(tx, id_, scope.seen_tenant(call))
            tx.delete_job(job, by=call.user, request_id=call.request_id)

        await self._store.run(delete)
        return job_calls_pb2.DeleteJobResponse()


def _locked(tx: Tx, id_: str, tenant: str | None) -> tuple[Job, KeptSchedule]:
    job = tx.job(id_, api=names.API, tenant=tenant)
    kept = tx.schedule(job.number) if job is not None else None
    if job is None or kept is None or job.external_id != id_:
        raise refusals.job_unknown(id_)
    return job, kept


def _updated(
    tx: Tx, call: Call, found: tuple[Job, KeptSchedule], wish: Wish, said: Mapping[str, str]
) -> tuple[Job, KeptSchedule]:
    """The job as it is after an update, which may change nothing at all."""
    job, kept = found
    plan = replanned(kept, wish, tx.now, paused=job.control.suspended)
    control, before = _controlled(job.control, wish.status), json.loads(job.spec)
    spec = {**before, **said}
    if (plan.schedule, plan.progress, control, spec) == (kept.schedule, kept.progress, job.control, before):
        return found
    tx.put_schedule(job, plan.schedule, plan.progress)
    changed = tx.change_job(
        job,
        control=control,
        spec=_spec(spec),
        display_name=said.get("name"),
        event=EventType.JOB_UPDATED,
        by=call.user,
        request_id=call.request_id,
    )
    changed = tx.refold(changed, by=call.user, request_id=call.request_id)
    return changed, tx.schedule(changed.number) or kept


def _controlled(control: Control, status: str | None) -> Control:
    if not status:
        return control
    return replace(control, suspended=status == "paused", cancel_requested=status == "cancelled")


def _said(request: job_calls_pb2.CreateJobRequest | job_calls_pb2.UpdateJobRequest) -> dict[str, str]:
    """What is kept as it was said; null is nothing said."""
    found = {}
    if request.HasField("name"):
        found["name"] = request.name
    if request.HasField("function_input"):
        found["function_input"] = request.function_input
    return found


def _spec(members: dict[str, object]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
