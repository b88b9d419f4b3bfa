"""JobDefinitionService of SAS Viya: definitions that are kept."""

from __future__ import annotations

import uuid

from typing_extensions import override

from jobyard.viya.v1 import definition_calls_pb2, definition_pb2, definition_service_pb2_grpc, link_pb2
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import finding, keeping, names, stored
from jobyard_server.apis.viya.pages import Window
from jobyard_server.apis.viya.stored_members import DEFINITIONS
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.ports import Store

_ORDER = "name:ascending"
_MOST = 1000


class JobDefinitionService(definition_service_pb2_grpc.JobDefinitionServiceServicer):
    """Answers for definitions."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def ListJobDefinitions(
        self, request: definition_calls_pb2.ListJobDefinitionsRequest, context: object
    ) -> definition_calls_pb2.ListJobDefinitionsResponse:
        window = Window.of(request, _ORDER)
        call = names.current_call()
        page, count = await finding.stored_page(self._store.read, call, names.DEFINITION, DEFINITIONS, window)
        collection = definition_pb2.JobDefinitionCollection(
            name="definitions",
            accept=link_pb2.ITEM_TYPE_JOB_DEFINITION,
            start=window.start,
            limit=window.limit,
            count=count,
            items=map(stored.definition_message, page),
            version=2,
        )
        return definition_calls_pb2.ListJobDefinitionsResponse(definitions=collection, page=window.page(count))

    @override
    async def CreateJobDefinition(
        self, request: definition_calls_pb2.CreateJobDefinitionRequest, context: object
    ) -> definition_calls_pb2.CreateJobDefinitionResponse:
        stored.check_definition(request.definition, "", named=True)
        kept = await keeping.create(
            self._store, names.current_call(), names.DEFINITION, [(str(uuid.uuid4()), request.definition)]
        )  # fmt: skip
        return definition_calls_pb2.CreateJobDefinitionResponse(definition=stored.definition_message(kept[0]))

    @override
    async def CreateJobDefinitions(
        self, request: definition_calls_pb2.CreateJobDefinitionsRequest, context: object
    ) -> definition_calls_pb2.CreateJobDefinitionsResponse:
        given = request.definitions.items
        if len(given) > _MOST:
            raise invalid("items", f"has more than {_MOST} definitions")
        for place, definition in enumerate(given):
            stored.check_definition(definition, f"items[{place}]", named=True)
        new = [(str(uuid.uuid4()), definition) for definition in given]
        kept = await keeping.create(self._store, names.current_call(), names.DEFINITION, new)
        collection = definition_pb2.JobDefinitionCollection(
            name="items", items=map(stored.definition_message, kept), version=2
        )
        return definition_calls_pb2.CreateJobDefinitionsResponse(definitions=collection)

    @override
    async def GetJobDefinition(
        self, request: definition_calls_pb2.GetJobDefinitionRequest, context: object
    ) -> definition_calls_pb2.GetJobDefinitionResponse:
        found = await finding.stored_named(
            self._store.read, names.current_call(), names.DEFINITION, request.definition_id
        )  # fmt: skip
        message = stored.definition_message(found)
        if request.view == link_pb2.VIEW_SUMMARY:
            return definition_calls_pb2.GetJobDefinitionResponse(
                summary=stored.summary(message, link_pb2.RESOURCE_TYPE_JOB_DEFINITION)
            )
        return definition_calls_pb2.GetJobDefinitionResponse(definition=message)

    @override
    async def UpdateJobDefinition(
        self, request: definition_calls_pb2.UpdateJobDefinitionRequest, context: object
    ) -> definition_calls_pb2.UpdateJobDefinitionResponse:
        given = request.definition.id
        problem = f"Job definition with ID: {request.definition_id} does not match passed in ID: {given}."

        def check() -> None:
            keeping.check_id(request.definition_id, given, problem)
            stored.check_definition(request.definition, "", named=True)

        kept = await keeping.replace(
            self._store,
            names.current_call(),
            (names.DEFINITION, request.definition_id),
            request.definition,
            request,
            check,
        )
        return definition_calls_pb2.UpdateJobDefinitionResponse(definition=stored.definition_message(kept))

    @override
    async def DeleteJobDefinition(
        self, request: definition_calls_pb2.DeleteJobDefinitionRequest, context: object
    ) -> definition_calls_pb2.DeleteJobDefinitionResponse:
        await keeping.delete(self._store, names.current_call(), names.DEFINITION, request.definition_id)
        return definition_calls_pb2.DeleteJobDefinitionResponse()
