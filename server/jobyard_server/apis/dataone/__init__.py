"""The Data One Job Manager: jobs of contracts, each submitted once, and lists of them."""

from jobyard.dataone.v1 import (
    contract_pb2,
    face_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    login_service_pb2,
    login_service_pb2_grpc,
)
from jobyard_server.apis.dataone import mapping
from jobyard_server.apis.dataone.contract import check_contract
from jobyard_server.apis.dataone.login import LoginService
from jobyard_server.apis.dataone.service import JobService
from jobyard_server.apis.registration import Api, Service

API = Api(
    name=mapping.API_NAME,
    services=(
        Service("jobyard.dataone.v1.JobService", job_service_pb2_grpc.add_JobServiceServicer_to_server, JobService),
        Service(
            "jobyard.dataone.v1.LoginService", login_service_pb2_grpc.add_LoginServiceServicer_to_server, LoginService
        ),
    ),
    files=(face_pb2.DESCRIPTOR, job_service_pb2.DESCRIPTOR, login_service_pb2.DESCRIPTOR, contract_pb2.DESCRIPTOR),
    words=mapping.WORDS,
    fields=mapping.FIELDS,
    checks={mapping.CONTRACT_KIND: check_contract},
    roles={
        "Administrators": frozenset({"dataone.WORKFLOW", "dataone.SPENGCEMANJOBS"}),
        "Users": frozenset({"dataone.SPENGCEMANJOBS"}),
    },
    complete=mapping.completed,
)
