"""NCMP data jobs: jobs on the configuration of a network, split by data producer; rApp, NCMP and DMI."""

from collections.abc import Callable
from functools import partial
from typing import Final

from jobyard.ncmp.v1 import (
    data_job_service_pb2,
    data_job_service_pb2_grpc,
    dmi_service_pb2,
    dmi_service_pb2_grpc,
    face_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    rapp_service_pb2,
    rapp_service_pb2_grpc,
    result_service_pb2,
    result_service_pb2_grpc,
)
from jobyard_server.apis.ncmp import dmi_jobs, dmi_results, ending, nouns
from jobyard_server.apis.ncmp.data_job_service import DataJobService
from jobyard_server.apis.ncmp.deliveries import kinds
from jobyard_server.apis.ncmp.dmi_service import DmiJobService
from jobyard_server.apis.ncmp.inventory_service import InventoryService
from jobyard_server.apis.ncmp.rapp_service import RappDataJobService
from jobyard_server.apis.ncmp.result_service import ResultService
from jobyard_server.apis.ncmp.starting import close_queue
from jobyard_server.apis.ncmp.targets import check_no_reference, check_target, follow
from jobyard_server.apis.registration import Api, Service
from jobyard_server.domain.job import Job
from jobyard_server.usecases.ports import Tx

PACKAGE: Final = "jobyard.ncmp.v1"


def _service(name: str, register: Callable[..., None], build: Callable[..., object]) -> Service:
    return Service(f"{PACKAGE}.{name}", register, build)


def _ended(tx: Tx, job: Job) -> None:
    ending.ended(tx, job)
    dmi_results.ended(tx, job)


API = Api(
    name=nouns.API,
    services=(
        _service("DataJobService", data_job_service_pb2_grpc.add_DataJobServiceServicer_to_server, DataJobService),
        _service(
            "InventoryService", inventory_service_pb2_grpc.add_InventoryServiceServicer_to_server, InventoryService
        ),
        _service("DmiJobService", dmi_service_pb2_grpc.add_DmiJobServiceServicer_to_server, DmiJobService),
        _service("ResultService", result_service_pb2_grpc.add_ResultServiceServicer_to_server, ResultService),
        _service(
            "RappDataJobService", rapp_service_pb2_grpc.add_RappDataJobServiceServicer_to_server, RappDataJobService
        ),
    ),
    files=(
        face_pb2.DESCRIPTOR,
        data_job_service_pb2.DESCRIPTOR,
        inventory_service_pb2.DESCRIPTOR,
        rapp_service_pb2.DESCRIPTOR,
        dmi_service_pb2.DESCRIPTOR,
        result_service_pb2.DESCRIPTOR,
    ),
    words=nouns.WORDS,
    fields=nouns.FIELDS,
    checks={
        nouns.REFERENCE: check_no_reference,
        dmi_jobs.PRODUCER: dmi_jobs.check_producer,
    },
    make_checks=lambda options: {nouns.TARGET: partial(check_target, url_pattern=options.dmi.url_pattern)},
    kept={nouns.TARGET: follow},
    roles={
        "rapp": frozenset({"ncmp.read", "ncmp.write"}),
        "dmi": frozenset({"ncmp.inventory"}),
        "ncmp": frozenset({"ncmp.dmi"}),
    },
    make_deliveries=lambda options: {**kinds(options), **dmi_results.kinds(options)},
    ended=_ended,
    resumed=ending.resumed,
    started=close_queue,
)
