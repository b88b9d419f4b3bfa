"""Qinling: cron jobs over functions, and the functions."""

from jobyard.qinling.v1 import (
    alias_service_pb2,
    alias_service_pb2_grpc,
    execution_service_pb2,
    execution_service_pb2_grpc,
    face_pb2,
    function_service_pb2,
    function_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    package_service_pb2,
    package_service_pb2_grpc,
    root_service_pb2,
    root_service_pb2_grpc,
    runtime_service_pb2,
    runtime_service_pb2_grpc,
    version_service_pb2,
    version_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from jobyard_server.apis.qinling import mapping, names
from jobyard_server.apis.qinling.alias_service import FunctionAliasService
from jobyard_server.apis.qinling.execution_service import ExecutionService
from jobyard_server.apis.qinling.executions import make_jobs
from jobyard_server.apis.qinling.function_service import FunctionService
from jobyard_server.apis.qinling.functions import check_alias, check_function
from jobyard_server.apis.qinling.job_service import JobService
from jobyard_server.apis.qinling.package_service import PackageService
from jobyard_server.apis.qinling.root_service import RootService
from jobyard_server.apis.qinling.runtime_service import RuntimeService
from jobyard_server.apis.qinling.version_service import FunctionVersionService
from jobyard_server.apis.qinling.webhook_service import WebhookService
from jobyard_server.apis.registration import Api, Service
from jobyard_server.usecases.call import ALL_TENANTS

_V1 = "jobyard.qinling.v1."

API = Api(
    name=names.API,
    services=(
        Service(f"{_V1}RootService", root_service_pb2_grpc.add_RootServiceServicer_to_server, RootService),
        Service(f"{_V1}JobService", job_service_pb2_grpc.add_JobServiceServicer_to_server, JobService),
        Service(
            f"{_V1}FunctionService", function_service_pb2_grpc.add_FunctionServiceServicer_to_server, FunctionService
        ),
        Service(
            f"{_V1}FunctionVersionService",
            version_service_pb2_grpc.add_FunctionVersionServiceServicer_to_server,
            FunctionVersionService,
        ),
        Service(
            f"{_V1}FunctionAliasService",
            alias_service_pb2_grpc.add_FunctionAliasServiceServicer_to_server,
            FunctionAliasService,
        ),
        Service(
            f"{_V1}ExecutionService",
            execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server,
            ExecutionService,
        ),
        Service(f"{_V1}RuntimeService", runtime_service_pb2_grpc.add_RuntimeServiceServicer_to_server, RuntimeService),
        Service(f"{_V1}WebhookService", webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server, WebhookService),
        Service(f"{_V1}PackageService", package_service_pb2_grpc.add_PackageServiceServicer_to_server, PackageService),
    ),
    files=(
        face_pb2.DESCRIPTOR,
        root_service_pb2.DESCRIPTOR,
        job_service_pb2.DESCRIPTOR,
        function_service_pb2.DESCRIPTOR,
        version_service_pb2.DESCRIPTOR,
        alias_service_pb2.DESCRIPTOR,
        execution_service_pb2.DESCRIPTOR,
        runtime_service_pb2.DESCRIPTOR,
        webhook_service_pb2.DESCRIPTOR,
        package_service_pb2.DESCRIPTOR,
    ),
    words=mapping.WORDS,
    fields=mapping.FIELDS,
    checks={
        names.FUNCTION: check_function,
        names.VERSION: check_function,
        names.ALIAS: check_alias,
        names.WEBHOOK: check_alias,
    },
    roles={
        "member": frozenset({"qinling.use"}),
        "qinling-admin": frozenset({"qinling.use", "qinling.runtimes", ALL_TENANTS}),
    },
    make_jobs=make_jobs,
)
