"""JobLifeService of SAS Viya: state, heartbeat and expiration of jobs."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import job_collection_pb2, job_life_calls_pb2, job_life_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import changing, states
from jobyard_server.apis.viya.finding import job_named, sights
from jobyard_server.apis.viya.mapping import expiration_of, heartbeat, summary, was_heard_of
from jobyard_server.apis.viya.names import current_call, id_in
from jobyard_server.apis.viya.showing import error_item, items, selected
from jobyard_server.apis.viya.times import FOR_EVER, micros_of, text_of
from jobyard_server.domain.job import Job, Micros
from jobyard_server.domain.reason import Reason, Refused, invalid, refuse
from jobyard_server.usecases.ports import Store


class JobLifeService(job_life_service_pb2_grpc.JobLifeServiceServicer):
    """Answers for single facts of jobs."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def GetState(
        self, request: job_life_calls_pb2.GetStateRequest, context: object
    ) -> job_life_calls_pb2.GetStateResponse:
        job = await self._job(request.job_id)
        return job_life_calls_pb2.GetStateResponse(state=states.NUMBERS[states.word_of(job)])

    @override
    async def UpdateState(
        self, request: job_life_calls_pb2.UpdateStateRequest, context: object
    ) -> job_life_calls_pb2.UpdateStateResponse:
        word = request.value or request.text.strip()
        job = await changing.set_state(self._store, current_call(), request.job_id, word)
        return job_life_calls_pb2.UpdateStateResponse(state=states.NUMBERS[states.word_of(job)])

    @override
    async def UpdateStates(
        self, request: job_life_calls_pb2.UpdateStatesRequest, context: object
    ) -> job_life_calls_pb2.UpdateStatesResponse:
        uris = selected(request.selection)
        if not request.value:
            raise states.missing()
        states.wanted(request.value)
        done = [await self._update_one(uri, request.value) for uri in uris]
        return job_life_calls_pb2.UpdateStatesResponse(items=items(done))

    async def _update_one(self, uri: str, word: str) -> job_collection_pb2.JobItem:
        call = current_call()
        try:
            job = await changing.set_state(self._store, call, id_in(uri, "jobExecution/jobs") or uri, word)
        except Refused as refused:
            return error_item(refused.refusal, call)
        return job_collection_pb2.JobItem(summary=summary(job))

    @override
    async def GetHeartbeat(
        self, request: job_life_calls_pb2.GetHeartbeatRequest, context: object
    ) -> job_life_calls_pb2.GetHeartbeatResponse:
        job = await self._job(request.job_id)
        (sight,) = await sights(self._store.read, [job])
        at = heartbeat(job, sight) if was_heard_of(job, sight) else None
        return job_life_calls_pb2.GetHeartbeatResponse(time_stamp=_text(at))

    @override
    async def UpdateHeartbeat(
        self, request: job_life_calls_pb2.UpdateHeartbeatRequest, context: object
    ) -> job_life_calls_pb2.UpdateHeartbeatResponse:
        at = await changing.heartbeat(self._store, current_call(), request.job_id)
        return job_life_calls_pb2.UpdateHeartbeatResponse(time_stamp=text_of(at))

    @override
    async def GetExpiration(
        self, request: job_life_calls_pb2.GetExpirationRequest, context: object
    ) -> job_life_calls_pb2.GetExpirationResponse:
        job = await self._job(request.job_id)
        return job_life_calls_pb2.GetExpirationResponse(time_stamp=_text(expiration_of(job)))

    @override
    async def UpdateExpiration(
        self, request: job_life_calls_pb2.UpdateExpirationRequest, context: object
    ) -> job_life_calls_pb2.UpdateExpirationResponse:
        call = current_call()
        await self._job(request.job_id)
        if request.text.strip():
            raise refuse(Reason.REQUEST_INVALID, "The request body must be empty.")
        at = _time(request.value) if request.value else FOR_EVER
        await changing.expire_at(self._store, call, request.job_id, at)
        return job_life_calls_pb2.UpdateExpirationResponse(time_stamp=_text(at if request.value else None))

    async def _job(self, id_: str) -> Job:
        return await job_named(self._store.read, current_call(), id_)


def _text(at: Micros | None) -> str:
    return "" if at is None else text_of(at)


def _time(text: str) -> Micros:
    try:
        at = micros_of(text)
    except ValueError as problem:
        raise invalid("value", str(problem), given=text) from None
    return min(max(at, 0), FOR_EVER)
