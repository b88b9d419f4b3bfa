"""ScheduleService: change, pause, run and look at schedules."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import schedule_access_pb2, schedule_service_pb2_grpc
from jobyard_server.apis.jobs import mapping, mapping_schedule
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.backfill_schedule import backfill_schedule
from jobyard_server.usecases.finding import find_scheduled
from jobyard_server.usecases.list_schedule_fires import list_schedule_fires
from jobyard_server.usecases.list_schedule_times import list_schedule_times, preview_schedule
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.resume_job import resume_job
from jobyard_server.usecases.run_schedule_now import run_schedule_now
from jobyard_server.usecases.suspend_job import suspend_job
from jobyard_server.usecases.update_schedule import update_schedule


class ScheduleService(schedule_service_pb2_grpc.ScheduleServiceServicer):
    """Answers ScheduleService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def UpdateSchedule(
        self, request: schedule_access_pb2.UpdateScheduleRequest, context: object
    ) -> schedule_access_pb2.UpdateScheduleResponse:
        job, kept = await update_schedule(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            mapping_schedule.Update(request),
            revision=mapping.revision(request.etag),
        )
        return schedule_access_pb2.UpdateScheduleResponse(job=mapping_schedule.scheduled_fields(job, kept))

    @override
    async def PauseSchedule(
        self, request: schedule_access_pb2.PauseScheduleRequest, context: object
    ) -> schedule_access_pb2.PauseScheduleResponse:
        call = current_call()
        job = await find_scheduled(self._store.read, call, mapping.job_ref(request.job))
        job = await suspend_job(self._store, call, job.uid, message=request.message)
        return schedule_access_pb2.PauseScheduleResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def ResumeSchedule(
        self, request: schedule_access_pb2.ResumeScheduleRequest, context: object
    ) -> schedule_access_pb2.ResumeScheduleResponse:
        call = current_call()
        job = await find_scheduled(self._store.read, call, mapping.job_ref(request.job))
        job = await resume_job(self._store, call, job.uid)
        return schedule_access_pb2.ResumeScheduleResponse(job=await mapping_schedule.shown(self._store.read, job))

    @override
    async def RunJobNow(
        self, request: schedule_access_pb2.RunJobNowRequest, context: object
    ) -> schedule_access_pb2.RunJobNowResponse:
        made = await run_schedule_now(
            self._store,
            current_call(),
            self._options.makers,
            mapping.job_ref(request.job),
            request_key=request.idempotency_key,
        )
        return schedule_access_pb2.RunJobNowResponse(job=mapping.job_fields(made.job))

    @override
    async def BackfillJob(
        self, request: schedule_access_pb2.BackfillJobRequest, context: object
    ) -> schedule_access_pb2.BackfillJobResponse:
        found = await backfill_schedule(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            mapping_schedule.instant(request.start_time, "start_time"),
            mapping_schedule.instant(request.end_time, "end_time"),
        )
        return schedule_access_pb2.BackfillJobResponse(times=mapping_schedule.times(found))

    @override
    async def ListFireTimes(
        self, request: schedule_access_pb2.ListFireTimesRequest, context: object
    ) -> schedule_access_pb2.ListFireTimesResponse:
        found = await list_schedule_times(
            self._store, current_call(), mapping.job_ref(request.job), count=request.count
        )  # fmt: skip
        return schedule_access_pb2.ListFireTimesResponse(times=mapping_schedule.times(found))

    @override
    async def PreviewSchedule(
        self, request: schedule_access_pb2.PreviewScheduleRequest, context: object
    ) -> schedule_access_pb2.PreviewScheduleResponse:
        draft = mapping_schedule.schedule_draft(request.schedule)
        found = await preview_schedule(
            self._store.read, draft.schedule, remaining=draft.remaining, count=request.count
        )  # fmt: skip
        return schedule_access_pb2.PreviewScheduleResponse(times=mapping_schedule.times(found))

    @override
    async def ListFires(
        self, request: schedule_access_pb2.ListFiresRequest, context: object
    ) -> schedule_access_pb2.ListFiresResponse:
        page = await list_schedule_fires(
            self._store,
            current_call(),
            mapping.job_ref(request.job),
            size=request.page_size,
            token=request.page_token,
        )
        return schedule_access_pb2.ListFiresResponse(
            fires=map(mapping_schedule.fire_message, page.fires), next_page_token=page.next_page_token
        )
