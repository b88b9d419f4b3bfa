"""DefinitionService: keep definitions."""

from __future__ import annotations

from typing_extensions import override

from jobyard.jobs.v1 import definition_service_pb2, definition_service_pb2_grpc
from jobyard_server.apis.jobs import mapping_catalog
from jobyard_server.apis.jobs.calling import current_call
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.definitions import delete_definition, get_definition, list_definitions, put_definition
from jobyard_server.usecases.ports import Store


class DefinitionService(definition_service_pb2_grpc.DefinitionServiceServicer):
    """Answers DefinitionService by its use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def PutDefinition(
        self, request: definition_service_pb2.PutDefinitionRequest, context: object
    ) -> definition_service_pb2.PutDefinitionResponse:
        new = mapping_catalog.new_definition(request.definition, current_call(), self._options)
        kept = await put_definition(self._store, new)
        return definition_service_pb2.PutDefinitionResponse(definition=mapping_catalog.definition_message(kept))

    @override
    async def GetDefinition(
        self, request: definition_service_pb2.GetDefinitionRequest, context: object
    ) -> definition_service_pb2.GetDefinitionResponse:
        found = await get_definition(self._store, current_call(), request.id, api=request.api, version=request.version)
        return definition_service_pb2.GetDefinitionResponse(definition=mapping_catalog.definition_message(found))

    @override
    async def ListDefinitions(
        self, request: definition_service_pb2.ListDefinitionsRequest, context: object
    ) -> definition_service_pb2.ListDefinitionsResponse:
        page = await list_definitions(
            self._store,
            current_call(),
            api=request.api or None,
            size=request.page_size,
            token=request.page_token,
        )
        return definition_service_pb2.ListDefinitionsResponse(
            definitions=map(mapping_catalog.definition_message, page.definitions), next_page_token=page.next_page_token
        )

    @override
    async def DeleteDefinition(
        self, request: definition_service_pb2.DeleteDefinitionRequest, context: object
    ) -> definition_service_pb2.DeleteDefinitionResponse:
        await delete_definition(self._store, current_call(), request.id, api=request.api, version=request.version)
        return definition_service_pb2.DeleteDefinitionResponse()
