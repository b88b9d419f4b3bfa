"""The jobs API, the full-featured one: every verb of the product over every job of this server."""

from jobyard.jobs.v1 import (
    content_service_pb2,
    content_service_pb2_grpc,
    definition_service_pb2,
    definition_service_pb2_grpc,
    delivery_service_pb2,
    delivery_service_pb2_grpc,
    error_reason_pb2,
    executor_service_pb2,
    executor_service_pb2_grpc,
    face_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    record_service_pb2,
    record_service_pb2_grpc,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from jobyard_server.apis.jobs.content_service import ContentService
from jobyard_server.apis.jobs.definition_service import DefinitionService
from jobyard_server.apis.jobs.deliveries import CHECKS, DELIVERIES
from jobyard_server.apis.jobs.delivery_service import DeliveryService
from jobyard_server.apis.jobs.executor_service import ExecutorService
from jobyard_server.apis.jobs.job_service import JobService
from jobyard_server.apis.jobs.queue_service import QueueService
from jobyard_server.apis.jobs.record_service import RecordService
from jobyard_server.apis.jobs.schedule_service import ScheduleService
from jobyard_server.apis.jobs.template import make_jobs
from jobyard_server.apis.jobs.webhook_service import WebhookService
from jobyard_server.apis.jobs.worker_service import WorkerService
from jobyard_server.apis.registration import Api, Service
from jobyard_server.usecases.webhooks import KIND, webhooks_changed

API = Api(
    name="jobs",
    services=(
        Service("jobyard.jobs.v1.JobService", job_service_pb2_grpc.add_JobServiceServicer_to_server, JobService),
        Service(
            "jobyard.jobs.v1.DefinitionService",
            definition_service_pb2_grpc.add_DefinitionServiceServicer_to_server,
            DefinitionService,
        ),
        Service(
            "jobyard.jobs.v1.ExecutorService",
            executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server,
            ExecutorService,
        ),
        Service(
            "jobyard.jobs.v1.QueueService", queue_service_pb2_grpc.add_QueueServiceServicer_to_server, QueueService
        ),
        Service(
            "jobyard.jobs.v1.RecordService",
            record_service_pb2_grpc.add_RecordServiceServicer_to_server,
            RecordService,
        ),
        Service(
            "jobyard.jobs.v1.ScheduleService",
            schedule_service_pb2_grpc.add_ScheduleServiceServicer_to_server,
            ScheduleService,
        ),
        Service(
            "jobyard.jobs.v1.DeliveryService",
            delivery_service_pb2_grpc.add_DeliveryServiceServicer_to_server,
            DeliveryService,
        ),
        Service(
            "jobyard.jobs.v1.WebhookService",
            webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server,
            WebhookService,
        ),
        Service(
            "jobyard.jobs.v1.WorkerService",
            worker_service_pb2_grpc.add_WorkerServiceServicer_to_server,
            WorkerService,
        ),
        Service(
            "jobyard.jobs.v1.ContentService",
            content_service_pb2_grpc.add_ContentServiceServicer_to_server,
            ContentService,
        ),
    ),
    files=(
        error_reason_pb2.DESCRIPTOR,
        face_pb2.DESCRIPTOR,
        job_service_pb2.DESCRIPTOR,
        definition_service_pb2.DESCRIPTOR,
        executor_service_pb2.DESCRIPTOR,
        queue_service_pb2.DESCRIPTOR,
        record_service_pb2.DESCRIPTOR,
        schedule_service_pb2.DESCRIPTOR,
        delivery_service_pb2.DESCRIPTOR,
        webhook_service_pb2.DESCRIPTOR,
        worker_service_pb2.DESCRIPTOR,
        content_service_pb2.DESCRIPTOR,
    ),
    roles={
        "operator": frozenset(
            {
                *("jobs.submit", "jobs.read", "jobs.cancel", "jobs.control", "jobs.finish", "jobs.delete"),
                "jobs.import",
                *("catalog.read", "catalog.write", "deliveries.read", "deliveries.redrive"),
            }
        ),
        "viewer": frozenset({"jobs.read", "catalog.read", "deliveries.read"}),
        "worker": frozenset({"work"}),
    },
    checks=CHECKS,
    kept={KIND: webhooks_changed},
    deliveries=DELIVERIES,
    make_jobs=make_jobs,
)
