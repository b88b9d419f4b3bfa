"""SAS Viya Job Execution and Job Definitions: jobs of definitions, run by providers."""

from typing import Any, Final

from jobyard.viya.v1 import (
    companion_face_pb2,
    definition_service_pb2,
    definition_service_pb2_grpc,
    face_pb2,
    file_service_pb2,
    file_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
    job_life_service_pb2,
    job_life_service_pb2_grpc,
    job_list_service_pb2,
    job_list_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    provider_service_pb2,
    provider_service_pb2_grpc,
    request_job_service_pb2,
    request_job_service_pb2_grpc,
    request_service_pb2,
    request_service_pb2_grpc,
    root_service_pb2,
    root_service_pb2_grpc,
)
from jobyard_server.apis.registration import Api, Service
from jobyard_server.apis.viya import names, states
from jobyard_server.apis.viya.definition_service import JobDefinitionService
from jobyard_server.apis.viya.events import routing_key
from jobyard_server.apis.viya.fields import FIELDS
from jobyard_server.apis.viya.file_service import FileService
from jobyard_server.apis.viya.heartbeats import DELIVERIES, ended
from jobyard_server.apis.viya.job_life_service import JobLifeService
from jobyard_server.apis.viya.job_list_service import JobListService
from jobyard_server.apis.viya.job_service import JobService
from jobyard_server.apis.viya.provider_service import ProviderService
from jobyard_server.apis.viya.providers import check_provider
from jobyard_server.apis.viya.request_job_service import JobRequestJobService
from jobyard_server.apis.viya.request_service import JobRequestService
from jobyard_server.apis.viya.root_service import DefinitionRootService, IdentityService, RootService
from jobyard_server.apis.viya.stored import check_definition_spec, check_request_spec

_SERVICERS: Final[tuple[tuple[Any, Any], ...]] = (
    (root_service_pb2_grpc.add_RootServiceServicer_to_server, RootService),
    (job_service_pb2_grpc.add_JobServiceServicer_to_server, JobService),
    (job_list_service_pb2_grpc.add_JobListServiceServicer_to_server, JobListService),
    (job_life_service_pb2_grpc.add_JobLifeServiceServicer_to_server, JobLifeService),
    (request_service_pb2_grpc.add_JobRequestServiceServicer_to_server, JobRequestService),
    (request_job_service_pb2_grpc.add_JobRequestJobServiceServicer_to_server, JobRequestJobService),
    (provider_service_pb2_grpc.add_ProviderServiceServicer_to_server, ProviderService),
    (root_service_pb2_grpc.add_DefinitionRootServiceServicer_to_server, DefinitionRootService),
    (definition_service_pb2_grpc.add_JobDefinitionServiceServicer_to_server, JobDefinitionService),
    (identity_service_pb2_grpc.add_IdentityServiceServicer_to_server, IdentityService),
    (file_service_pb2_grpc.add_FileServiceServicer_to_server, FileService),
)

_LOOK: Final = frozenset({"viya.jobs.read", "viya.requests.read", "viya.definitions.read"})
_USE: Final = _LOOK | {"viya.jobs.submit", "viya.jobs.control", "viya.requests.write", "viya.definitions.write"}

API = Api(
    name=names.API,
    services=tuple(
        Service(f"jobyard.viya.v1.{servicer.__name__}", register, servicer) for register, servicer in _SERVICERS
    ),
    files=(
        face_pb2.DESCRIPTOR,
        companion_face_pb2.DESCRIPTOR,
        root_service_pb2.DESCRIPTOR,
        job_service_pb2.DESCRIPTOR,
        job_list_service_pb2.DESCRIPTOR,
        job_life_service_pb2.DESCRIPTOR,
        request_service_pb2.DESCRIPTOR,
        request_job_service_pb2.DESCRIPTOR,
        provider_service_pb2.DESCRIPTOR,
        definition_service_pb2.DESCRIPTOR,
        identity_service_pb2.DESCRIPTOR,
        file_service_pb2.DESCRIPTOR,
    ),
    words=states.WORDS,
    odd_words=states.ODD_WORDS,
    fields=FIELDS,
    checks={
        names.DEFINITION: check_definition_spec,
        names.REQUEST: check_request_spec,
        names.PROVIDER: check_provider,
    },
    roles={
        "SASAdministrators": _USE | {"viya.provide"},
        "SASUsers": _USE,
        "SASProviders": _LOOK | {"viya.jobs.control", "viya.provide"},
    },
    deliveries=DELIVERIES,
    ended=ended,
    routing_key=routing_key,
)
