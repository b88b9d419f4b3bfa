"""ProviderService of SAS Viya: who can run jobs."""

from __future__ import annotations

from typing_extensions import override

from jobyard.viya.v1 import link_pb2, provider_calls_pb2, provider_pb2, provider_service_pb2_grpc
from jobyard_server.apis.registration import Options
from jobyard_server.apis.viya import names
from jobyard_server.apis.viya.pages import Window, cut
from jobyard_server.apis.viya.providers import Provider, providers
from jobyard_server.apis.viya.stored_members import PROVIDERS
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store

_ORDER = "id:ascending"


class ProviderService(provider_service_pb2_grpc.ProviderServiceServicer):
    """Answers for providers."""

    def __init__(self, store: Store, _options: Options) -> None:
        self._store = store

    @override
    async def ListProviders(
        self, request: provider_calls_pb2.ListProvidersRequest, context: object
    ) -> provider_calls_pb2.ListProvidersResponse:
        window = Window.of(request, _ORDER)
        found = await providers(self._store.read, names.current_call())
        page, count = cut(found, lambda provider: {"id": provider.id}, PROVIDERS, window)
        whole = request.view == provider_pb2.PROVIDER_VIEW_FULL
        collection = provider_pb2.ProviderCollection(
            name="providers",
            accept=link_pb2.ITEM_TYPE_PROVIDER,
            start=window.start,
            limit=window.limit,
            count=count,
            items=[provider.message(whole=whole) for provider in page],
            version=2,
        )
        return provider_calls_pb2.ListProvidersResponse(providers=collection, page=window.page(count))

    @override
    async def GetProvider(
        self, request: provider_calls_pb2.GetProviderRequest, context: object
    ) -> provider_calls_pb2.GetProviderResponse:
        id_ = request.provider_id
        executor = await self._store.read.executor(names.API, names.current_call().tenant, id_)
        if executor is None or executor.kind != names.PROVIDER:
            raise refuse(Reason.EXECUTOR_NOT_FOUND, f"There is no provider {id_!r}.", executor=id_)
        whole = request.view != provider_pb2.PROVIDER_VIEW_SUMMARY
        return provider_calls_pb2.GetProviderResponse(provider=Provider.of(executor).message(whole=whole))
