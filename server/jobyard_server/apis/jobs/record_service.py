"""RecordService: keep records."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import record_service_pb2, record_service_pb2_grpc
from jobyard_server.apis.jobs import mapping_catalog
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store
from jobyard_server.usecases.records import delete_record, get_record, list_records, put_record


class RecordService(record_service_pb2_grpc.RecordServiceServicer):
    """Answers RecordService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def PutRecord(
        self, request: record_service_pb2.PutRecordRequest, context: object
    ) -> record_service_pb2.PutRecordResponse:
        record = request.record
        body, attributes = mapping_catalog.record_body(record, self._options)
        kept = await put_record(
            self._store,
            current_call(),
            record.kind,
            record.id,
            body,
            api=record.api,
            attributes=attributes,
            follow=self._options.kept.get((record.api, record.kind)),
        )
        return record_service_pb2.PutRecordResponse(record=mapping_catalog.record_message(kept))

    @override
    async def GetRecord(
        self, request: record_service_pb2.GetRecordRequest, context: object
    ) -> record_service_pb2.GetRecordResponse:
        found = await get_record(self._store, current_call(), request.kind, request.id, api=request.api)
        return record_service_pb2.GetRecordResponse(record=mapping_catalog.record_message(found))

    @override
    async def ListRecords(
        self, request: record_service_pb2.ListRecordsRequest, context: object
    ) -> record_service_pb2.ListRecordsResponse:
        page = await list_records(
            self._store,
            current_call(),
            request.kind,
            api=request.api,
            size=request.page_size,
            token=request.page_token,
        )
        return record_service_pb2.ListRecordsResponse(
            records=map(mapping_catalog.record_message, page.records), next_page_token=page.next_page_token
        )

    @override
    async def DeleteRecord(
        self, request: record_service_pb2.DeleteRecordRequest, context: object
    ) -> record_service_pb2.DeleteRecordResponse:
        follow = self._options.kept.get((request.api, request.kind))
        await delete_record(self._store, current_call(), request.kind, request.id, api=request.api, follow=follow)
        return record_service_pb2.DeleteRecordResponse()
