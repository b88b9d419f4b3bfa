"""ExecutionService: functions executed, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from typing_extensions import override

from jobyard.qinling.v1 import execution_pb2, execution_service_pb2, execution_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, scope
from jobyard_server.apis.qinling.executions import jobs_of, new_execution
from jobyard_server.apis.qinling.functions import find_target
from jobyard_server.apis.registration import Options
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Job
from jobyard_server.domain.state import Mode
from jobyard_server.usecases.ports import Store, Tx

IS_EXECUTION: Final = Comparison("mode", Op.EQ, Mode.ONCE.value)
PATIENCE: Final = 10.0
"""Seconds beyond the timeout of a function that an answer waits for its end."""
POLL: Final = 0.5
LOG_PIECE: Final = 64 * 1024
LOG_BYTES: Final = 1024 * 1024
"""Most of a log that is shown; what comes after it can be read by jobyard.jobs.v1."""


class ExecutionService(execution_service_pb2_grpc.ExecutionServiceServicer):
    """Answers calls about executions."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateExecution(
        self, request: execution_service_pb2.CreateExecutionRequest, context: object
    ) -> execution_service_pb2.CreateExecutionResponse:
        call = scope.current_call()
        names.check_uuids(request)
        if not (request.function_alias or request.function_id):
            raise refusals.wrong("function_id", "Either function_alias or function_id must be provided.")
        target = await find_target(
            self._store.read,
            call.tenant,
            function_id=request.function_id,
            alias=request.function_alias,
            version=request.function_version,
        )
        sync = request.sync if request.HasField("sync") else True
        new = new_execution(
            target,
            call.tenant,
            call.user,
            text=request.input or None,
            description=request.description or None,
            sync=sync,
            request_id=call.request_id,
        )
        job = (await self._store.submit(new)).job
        if sync:
            job = await self._ended(job, target.spec.timeout + PATIENCE)
        return execution_service_pb2.CreateExecutionResponse(execution=await self._message(job))

    async def _ended(self, job: Job, seconds: float) -> Job:
        """The job when it has ended, or when it has taken too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not job.state.terminal:
                    await self._store.changed(POLL)
                    found = await self._store.read.job(job.number, api=names.API, tenant=job.tenant)
                    if found is None:
                        break
                    job = found
        return job

    @override
    async def ListExecutions(
        self, request: execution_service_pb2.ListExecutionsRequest, context: object
    ) -> execution_service_pb2.ListExecutionsResponse:
        project = request.project_id if request.HasField("project_id") else None
        seen = scope.seen(scope.current_call(), all_projects=request.all_projects, project_id=project)
        function = scope.condition("function_id", request.function_id) if request.function_id else None
        description = scope.condition("description", request.description) if request.description else None
        wanted = {
            status
            for status, word in mapping.EXECUTION_WORDS.items()
            if not request.status or scope.fits(word, request.status)
        }
        states = {state for status in wanted for state in mapping.EXECUTION_STATES[status]}
        state = Comparison("state", Op.IN, tuple(states)) if request.status else None
        where = scope.joined(IS_EXECUTION, seen.where, function, description, state)
        jobs = jobs_of(self._store.read, seen.tenant, where)
        shown = (one async for one in self._messages(jobs) if one.status in wanted)
        return execution_service_pb2.ListExecutionsResponse(executions=await scope.told(shown))

    async def _messages(self, pages: AsyncIterator[Sequence[Job]]) -> AsyncGenerator[execution_pb2.Execution]:
        async for page in pages:
            pieces = await self._store.read.first_subjobs([job.number for job in page])
            for job in page:
                if job.number in pieces:
                    yield mapping.execution_message(job, pieces[job.number])

    @override
    async def GetExecution(
        self, request: execution_service_pb2.GetExecutionRequest, context: object
    ) -> execution_service_pb2.GetExecutionResponse:
        job = await self._find(request.id)
        return execution_service_pb2.GetExecutionResponse(execution=await self._message(job))

    @override
    async def GetExecutionLog(
        self, request: execution_service_pb2.GetExecutionLogRequest, context: object
    ) -> execution_service_pb2.GetExecutionLogResponse:
        # Qinling looks for whatever it is given here.
        job = await self._found(request.id)
        piece = (await self._store.read.first_subjobs([job.number]))[job.number]
        log = bytearray()
        at = 0
        while piece.attempt_no and len(log) < LOG_BYTES:
            data, start = await self._store.read.log(piece.id, piece.attempt_no, offset=at, limit=LOG_PIECE)
            if not data:
                break
            log += data
            at = start + len(data)
        return execution_service_pb2.GetExecutionLogResponse(log=log.decode(errors="replace"))

    @override
    async def DeleteExecution(
        self, request: execution_service_pb2.DeleteExecutionRequest, context: object
    ) -> execution_service_pb2.DeleteExecutionResponse:
        job = await self._find(request.id)
        call = scope.current_call()

        def delete(tx: Tx) -> None:
            found = tx.job(job.number, api=names.API, tenant=job.tenant)
            if found is None:
                raise refusals.job_unknown(request.id, "Execution")
            tx.delete_job(found, by=call.user, request_id=call.request_id)

        await self._store.run(delete)
        return execution_service_pb2.DeleteExecutionResponse()

    async def _find(self, id_: str) -> Job:
        return await self._found(names.path_id(id_))

    async def _found(self, id_: str) -> Job:
        tenant = scope.seen_tenant(scope.current_call())
        job = await self._store.read.job(id_, api=names.API, tenant=tenant)
        if job is None or job.mode is not Mode.ONCE or job.external_id != id_:
            raise refusals.job_unknown(id_, "Execution")
        return job

    async def _message(self, job: Job) -> execution_pb2.Execution:
        pieces = await self._store.read.first_subjobs([job.number])
        return mapping.execution_message(job, pieces[job.number])
