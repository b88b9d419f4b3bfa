"""Information jobs: standing wishes for data, brokered between consumers and producers; DMS, ICS and A1-EI."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from jobyard.infojobs.v1 import (
    consumer_type_service_pb2,
    consumer_type_service_pb2_grpc,
    coordinator_service_pb2,
    coordinator_service_pb2_grpc,
    dms_consumer_type_service_pb2,
    dms_consumer_type_service_pb2_grpc,
    dms_face_pb2,
    dms_info_job_service_pb2,
    dms_info_job_service_pb2_grpc,
    dms_info_producer_service_pb2,
    dms_info_producer_service_pb2_grpc,
    dms_producer_type_service_pb2,
    dms_producer_type_service_pb2_grpc,
    dms_registry_service_pb2,
    dms_registry_service_pb2_grpc,
    dms_result_service_pb2,
    dms_result_service_pb2_grpc,
    ei_job_service_pb2,
    ei_job_service_pb2_grpc,
    face_pb2,
    info_job_service_pb2,
    info_job_service_pb2_grpc,
    info_producer_service_pb2,
    info_producer_service_pb2_grpc,
    producer_type_service_pb2,
    producer_type_service_pb2_grpc,
)
from jobyard_server.apis.infojobs import nouns
from jobyard_server.apis.infojobs.consumer_type_service import ConsumerTypeService
from jobyard_server.apis.infojobs.coordinator_service import CoordinatorService
from jobyard_server.apis.infojobs.deliveries import kinds
from jobyard_server.apis.infojobs.dms_consumer_type_service import DmsConsumerTypeService
from jobyard_server.apis.infojobs.dms_info_job_service import DmsInfoJobService
from jobyard_server.apis.infojobs.dms_info_producer_service import DmsInfoProducerService
from jobyard_server.apis.infojobs.dms_producer_type_service import DmsProducerTypeService
from jobyard_server.apis.infojobs.dms_registry_service import DmsRegistryService
from jobyard_server.apis.infojobs.dms_result_service import DmsResultService
from jobyard_server.apis.infojobs.ei_job_service import EiJobService
from jobyard_server.apis.infojobs.info_job_service import InfoJobService
from jobyard_server.apis.infojobs.info_producer_service import InfoProducerService
from jobyard_server.apis.infojobs.pieces import job_ended
from jobyard_server.apis.infojobs.producer_type_service import ProducerTypeService
from jobyard_server.apis.infojobs.starting import begin
from jobyard_server.apis.registration import Api, Service
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import invalid

PACKAGE: Final = "jobyard.infojobs.v1"


def _not_here(kind: str, _spec: str) -> Mapping[str, Attribute]:
    """Refuse what is put as any noun: nobody would be told of it."""
    raise invalid("kind", f"{kind} is put through the information jobs API")


def _service(name: str, register: Callable[..., None], build: Callable[..., object]) -> Service:
    return Service(f"{PACKAGE}.{name}", register, build)


API = Api(
    name=nouns.API,
    services=(
        _service(
            "ConsumerTypeService",
            consumer_type_service_pb2_grpc.add_ConsumerTypeServiceServicer_to_server,
            ConsumerTypeService,
        ),
        _service("InfoJobService", info_job_service_pb2_grpc.add_InfoJobServiceServicer_to_server, InfoJobService),
        _service(
            "ProducerTypeService",
            producer_type_service_pb2_grpc.add_ProducerTypeServiceServicer_to_server,
            ProducerTypeService,
        ),
        _service(
            "InfoProducerService",
            info_producer_service_pb2_grpc.add_InfoProducerServiceServicer_to_server,
            InfoProducerService,
        ),
        _service(
            "CoordinatorService",
            coordinator_service_pb2_grpc.add_CoordinatorServiceServicer_to_server,
            CoordinatorService,
        ),
        _service("EiJobService", ei_job_service_pb2_grpc.add_EiJobServiceServicer_to_server, EiJobService),
        _service(
            "DmsConsumerTypeService",
            dms_consumer_type_service_pb2_grpc.add_DmsConsumerTypeServiceServicer_to_server,
            DmsConsumerTypeService,
        ),
        _service(
            "DmsInfoJobService",
            dms_info_job_service_pb2_grpc.add_DmsInfoJobServiceServicer_to_server,
            DmsInfoJobService,
        ),
        _service(
            "DmsProducerTypeService",
            dms_producer_type_service_pb2_grpc.add_DmsProducerTypeServiceServicer_to_server,
            DmsProducerTypeService,
        ),
        _service(
            "DmsInfoProducerService",
            dms_info_producer_service_pb2_grpc.add_DmsInfoProducerServiceServicer_to_server,
            DmsInfoProducerService,
        ),
        _service(
            "DmsRegistryService",
            dms_registry_service_pb2_grpc.add_DmsRegistryServiceServicer_to_server,
            DmsRegistryService,
        ),
        _service(
            "DmsResultService",
            dms_result_service_pb2_grpc.add_DmsResultServiceServicer_to_server,
            DmsResultService,
        ),
    ),
    files=(
        face_pb2.DESCRIPTOR,
        consumer_type_service_pb2.DESCRIPTOR,
        info_job_service_pb2.DESCRIPTOR,
        producer_type_service_pb2.DESCRIPTOR,
        info_producer_service_pb2.DESCRIPTOR,
        coordinator_service_pb2.DESCRIPTOR,
        ei_job_service_pb2.DESCRIPTOR,
        dms_face_pb2.DESCRIPTOR,
        dms_consumer_type_service_pb2.DESCRIPTOR,
        dms_info_job_service_pb2.DESCRIPTOR,
        dms_producer_type_service_pb2.DESCRIPTOR,
        dms_info_producer_service_pb2.DESCRIPTOR,
        dms_registry_service_pb2.DESCRIPTOR,
        dms_result_service_pb2.DESCRIPTOR,
    ),
    fields=nouns.FIELDS,
    checks={
        kind: partial(_not_here, kind)
        for kind in (nouns.TYPE, nouns.PRODUCER, nouns.SUPPLY, nouns.SUBSCRIPTION, nouns.SERVICE, nouns.RESULT)
    },
    roles={
        "consumer": frozenset({"infojobs.read", "infojobs.consume"}),
        "producer": frozenset({"infojobs.read", "infojobs.produce"}),
    },
    make_deliveries=kinds,
    ended=job_ended,
    started=begin,
)
