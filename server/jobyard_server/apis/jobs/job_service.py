"""JobService: submit, find, watch and end jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from typing_extensions import override

from jobyard.jobs.v1 import (
    job_access_pb2,
    job_bulk_pb2,
    job_control_pb2,
    job_service_pb2_grpc,
    job_submit_pb2,
    job_watch_pb2,
)
from jobyard_server.apis.jobs import mapping, mapping_schedule, mapping_submit
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.state import State
from jobyard_server.rpc import caller
from jobyard_server.usecases.cancel_job import cancel_job
from jobyard_server.usecases.change_jobs import cancel_jobs, delete_jobs, retry_jobs
from jobyard_server.usecases.delete_job import delete_job
from jobyard_server.usecases.finish_job import finish_job
from jobyard_server.usecases.get_job import get_job
from jobyard_server.usecases.import_jobs import import_jobs
from jobyard_server.usecases.list_attempts import list_attempts
from jobyard_server.usecases.list_jobs import JobList, list_jobs
from jobyard_server.usecases.list_subjobs import list_subjobs
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.read_log import read_log
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.retry_job import retry_job
from jobyard_server.usecases.submit_job import submit_job
from jobyard_server.usecases.submit_jobs import submit_jobs
from jobyard_server.usecases.suspend_job import suspend_job
from jobyard_server.usecases.watch_jobs import WatchRequest, watch_jobs
from jobyard_server.usecases.watch_turns import Watchers


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Answers JobService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        self._watchers = Watchers()

    @override
    async def SubmitJob(
        self, request: job_submit_pb2.SubmitJobRequest, context: object
    ) -> job_submit_pb2.SubmitJobResponse:
        submitted = await submit_job(self._store, current_call(), mapping_submit.draft(request))
        job = await mapping_schedule.shown(self._store.read, submitted.job)
        return job_submit_pb2.SubmitJobResponse(job=job, replayed=submitted.replayed)

    @override
    async def SubmitJobs(
        self, request: job_submit_pb2.SubmitJobsRequest, context: object
    ) -> job_submit_pb2.SubmitJobsResponse:
        drafts = mapping_submit.drafts(request)
        submitted = await submit_jobs(self._store, current_call(), drafts, field="requests")
        jobs = await mapping_schedule.all_shown(self._store.read, [one.job for one in submitted])
        responses: mapping.Fields = [
            {"job": job, "replayed": one.replayed} for one, job in zip(submitted, jobs, strict=True)
        ]
        return job_submit_pb2.SubmitJobsResponse(responses=responses)

    @override
    async def ImportJobs(
        self, request: job_submit_pb2.ImportJobsRequest, context: object
    ) -> job_submit_pb2.ImportJobsResponse:
        call = current_call()
        jobs = [
            mapping_submit.imported(job, call, self._options, f"jobs[{place}]")
            for place, job in enumerate(request.jobs)
        ]
        found = await import_jobs(self._store, jobs)
        return job_submit_pb2.ImportJobsResponse(jobs=map(mapping.job_fields, found))

    @override
    async def GetJob(self, request: job_access_pb2.GetJobRequest, context: object) -> job_access_pb2.GetJobResponse:
        job = await get_job(self._store, current_call(), mapping.job_ref(request.job))
        return job_access_pb2.GetJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def ListJobs(
        self, request: job_access_pb2.ListJobsRequest, context: object
    ) -> job_access_pb2.ListJobsResponse:
        wanted = JobList(
            filter=request.filter,
            order_by=request.order_by,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        page = await list_jobs(self._store, current_call(), wanted)
        return job_access_pb2.ListJobsResponse(
            jobs=await mapping_schedule.all_shown(self._store.read, page.jobs),
            next_page_token=page.next_page_token,
            watch_token=page.watch_token,
        )

    @override
    async def CancelJob(
        self, request: job_access_pb2.CancelJobRequest, context: object
    ) -> job_access_pb2.CancelJobResponse:
        job = await cancel_job(
            self._store, current_call(), mapping.job_ref(request.job), message=request.message
        )  # fmt: skip
        return job_access_pb2.CancelJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def DeleteJob(
        self, request: job_access_pb2.DeleteJobRequest, context: object
    ) -> job_access_pb2.DeleteJobResponse:
        await delete_job(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            force=request.force,
            revision=mapping.revision(request.etag),
        )
        return job_access_pb2.DeleteJobResponse()

    @override
    async def SuspendJob(
        self, request: job_control_pb2.SuspendJobRequest, context: object
    ) -> job_control_pb2.SuspendJobResponse:
        ref, revision = mapping.job_ref(request.job), mapping.revision(request.etag)
        job = await suspend_job(self._store, current_call(), ref, message=request.message, revision=revision)
        return job_control_pb2.SuspendJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def ResumeJob(
        self, request: job_control_pb2.ResumeJobRequest, context: object
    ) -> job_control_pb2.ResumeJobResponse:
        ref, revision = mapping.job_ref(request.job), mapping.revision(request.etag)
        job = await resume_job(self._store, current_call(), ref, message=request.message, revision=revision)
        return job_control_pb2.ResumeJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def RetryJob(
        self, request: job_control_pb2.RetryJobRequest, context: object
    ) -> job_control_pb2.RetryJobResponse:
        job = await retry_job(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            ordinals=request.subjobs,
            message=request.message,
            revision=mapping.revision(request.etag),
        )
        return job_control_pb2.RetryJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def FinishJob(
        self, request: job_control_pb2.FinishJobRequest, context: object
    ) -> job_control_pb2.FinishJobResponse:
        job = await finish_job(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            mapping.word(mapping.STATE, request.state, State.FAILED, "state"),
            reason=request.reason,
            message=request.message,
            result=mapping.any_json("result", request.result) if request.result else None,
            revision=mapping.revision(request.etag),
        )
        return job_control_pb2.FinishJobResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def CancelJobs(
        self, request: job_bulk_pb2.CancelJobsRequest, context: object
    ) -> job_bulk_pb2.CancelJobsResponse:
        done = await cancel_jobs(
            self._store, current_call(), mapping_submit.selection(request), message=request.message
        )
        return job_bulk_pb2.CancelJobsResponse(matched=done.matched, changed=done.changed, more=done.more)

    @override
    async def RetryJobs(
        self, request: job_bulk_pb2.RetryJobsRequest, context: object
    ) -> job_bulk_pb2.RetryJobsResponse:
        done = await retry_jobs(self._store, current_call(), mapping_submit.selection(request), message=request.message)
        return job_bulk_pb2.RetryJobsResponse(matched=done.matched, changed=done.changed, more=done.more)

    @override
    async def DeleteJobs(
        self, request: job_bulk_pb2.DeleteJobsRequest, context: object
    ) -> job_bulk_pb2.DeleteJobsResponse:
        done = await delete_jobs(self._store, current_call(), mapping_submit.selection(request), force=request.force)
        return job_bulk_pb2.DeleteJobsResponse(matched=done.matched, changed=done.changed, more=done.more)

    @override
    async def WatchJobs(
        self, request: job_watch_pb2.WatchJobsRequest, context: object
    ) -> AsyncIterator[job_watch_pb2.WatchJobsResponse]:
        if request.until_terminal and not request.job:
            raise invalid("until_terminal", "needs a job to follow")
        wanted = WatchRequest(
            job=mapping.job_ref(request.job) if request.job else None,
            filter=request.filter,
            resume_token=request.last_event_id or request.resume_token,
            token_field="last_event_id" if request.last_event_id else "resume_token",
            include_job=request.include_job,
            until_terminal=request.until_terminal,
            checkpoint_seconds=self._options.checkpoint_seconds,
        )
        watched = watch_jobs(self._store, current_call(), wanted, watchers=self._watchers, client=caller.peer())
        async with aclosing(watched) as items:
            async for item in items:
                yield job_watch_pb2.WatchJobsResponse(
                    event=mapping.event_message(item.event) if item.event else None,
                    job=mapping.job_fields(item.job) if item.job else None,
                    resume_token=item.resume_token,
                )

    @override
    async def ListSubjobs(
        self, request: job_access_pb2.ListSubjobsRequest, context: object
    ) -> job_access_pb2.ListSubjobsResponse:
        page = await list_subjobs(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            size=request.page_size,
            token=request.page_token,
        )
        return job_access_pb2.ListSubjobsResponse(
            subjobs=map(mapping.subjob_fields, page.subjobs), next_page_token=page.next_page_token
        )

    @override
    async def ListAttempts(
        self, request: job_access_pb2.ListAttemptsRequest, context: object
    ) -> job_access_pb2.ListAttemptsResponse:
        found = await list_attempts(self._store, current_call(), mapping.job_ref(request.job), request.subjob)
        return job_access_pb2.ListAttemptsResponse(attempts=map(mapping.attempt_message, found))

    @override
    async def GetLog(
        self, request: job_watch_pb2.GetLogRequest, context: object
    ) -> AsyncIterator[job_watch_pb2.GetLogResponse]:
        chunks = read_log(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            request.subjob,
            attempt=request.attempt,
            offset=request.offset,
            follow=request.follow,
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                yield job_watch_pb2.GetLogResponse(data=chunk.data, offset=chunk.offset, attempt=chunk.attempt)
