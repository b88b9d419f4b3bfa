"""FileService of SAS Viya: the logs of jobs that workers ran, as files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api import httpbody_pb2
from typing_extensions import override

from jobyard.viya.v1 import file_service_pb2, file_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya.finding import job_named
from jobyard_server.apis.viya.names import current_call
from jobyard_server.apis.viya.times import timestamp
from jobyard_server.usecases.finding import find_attempt, find_subjob
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.read_log import read_log


class FileService(file_service_pb2_grpc.FileServiceServicer):
    """Answers for logs."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def GetFile(
        self, request: file_service_pb2.GetFileRequest, context: object
    ) -> file_service_pb2.GetFileResponse:
        job = await job_named(self._store.read, current_call(), request.file_id)
        attempt = await find_attempt(self._store.read, await find_subjob(self._store.read, job, 0), 0)
        file = file_service_pb2.File(
            id=request.file_id,
            name=f"{request.file_id}.log.txt",
            parent_uri=f"/jobExecution/jobs/{request.file_id}",
            content_type=file_service_pb2.FILE_TYPE_TEXT,
            creation_time_stamp=timestamp(job.created_at),
            created_by=job.created_by,
            size=attempt.log_size,
            version=4,
        )
        return file_service_pb2.GetFileResponse(file=file)

    @override
    async def GetFileContent(
        self, request: file_service_pb2.GetFileContentRequest, context: object
    ) -> AsyncIterator[file_service_pb2.GetFileContentResponse]:
        call = current_call()
        job = await job_named(self._store.read, call, request.file_id)
        chunks = read_log(self._store, call, job.uid, 0)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield file_service_pb2.GetFileContentResponse(content=httpbody_pb2.HttpBody(data=chunk.data))
