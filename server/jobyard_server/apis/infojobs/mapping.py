"""Between the messages of jobyard.infojobs.v1 and what is kept: jobs, their status, and producers."""

from __future__ import annotations

from typing import Any

from jobyard.infojobs.v1 import info_job_pb2, info_producer_pb2, info_type_pb2
from jobyard_server.apis.infojobs.deliveries import request_message
from jobyard_server.apis.infojobs.jobs import live_jobs
from jobyard_server.apis.infojobs.lookup import Reading
from jobyard_server.apis.infojobs.nouns import DMS, ENABLED, JobFacts, Producer, attribute, job_facts, status_of
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Reader


def consumer_job(job: Job, facts: JobFacts) -> info_job_pb2.ConsumerJob:
    """A job as consumers of ICS see it."""
    return info_job_pb2.ConsumerJob(
        info_type_id=job.definition,
        job_result_uri=facts.result_uri,
        job_owner=attribute(job.attributes, "owner"),
        job_definition=facts.definition,
        status_notification_uri=facts.status_uri,
    )


def dms_job(job: Job, facts: JobFacts) -> info_job_pb2.DmsConsumerJob:
    """A job as consumers of DMS see it."""
    return info_job_pb2.DmsConsumerJob(
        info_type_id=job.definition,
        job_result_uri=facts.result_uri,
        job_owner=attribute(job.attributes, "owner"),
        job_definition=facts.definition,
        status_notification_uri=facts.status_uri,
    )


def ei_job(job: Job, facts: JobFacts) -> info_job_pb2.EiJob:
    """A job as consumers of A1-EI see it."""
    return info_job_pb2.EiJob(
        ei_type_id=job.definition,
        job_result_uri=facts.result_uri,
        job_owner=attribute(job.attributes, "owner"),
        job_definition=facts.definition,
        job_status_notification_uri=facts.status_uri,
    )


def availability(job: Job) -> info_type_pb2.Availability.ValueType:
    """The status of a job as a word."""
    if status_of(job) == ENABLED:
        return info_type_pb2.AVAILABILITY_ENABLED
    return info_type_pb2.AVAILABILITY_DISABLED


async def job_status(read: Reader, job: Job) -> info_job_pb2.ConsumerJobStatus:
    """The status of a job, with the producers of its type."""
    suppliers = await Reading(read, job.tenant).suppliers(job.definition)
    return info_job_pb2.ConsumerJobStatus(info_job_status=availability(job), producers=[one.id for one in suppliers])


async def producer_jobs(
    read: Reader, tenant: str, producer: Producer, *, exact: bool
) -> list[info_job_pb2.ProducerInfoJobRequest]:
    """The jobs that a producer has to run; ``exact``: without those of older versions of its types."""
    types = producer.types if exact else await Reading(read, tenant).covered(producer.types)
    jobs = await live_jobs(read, tenant, Comparison("definition", Op.IN, tuple(types)))
    return [request_message(job, job_facts(job)) for job in jobs]


def state_of_producer(face: str, *, alive: bool) -> Any:
    """Whether a producer is alive, in the words of a face."""
    if face == DMS:
        words = info_producer_pb2.SERVICE_STATUS_REGISTERED, info_producer_pb2.SERVICE_STATUS_UNDISCOVERABLE
        return words[0] if alive else words[1]
    return info_type_pb2.AVAILABILITY_ENABLED if alive else info_type_pb2.AVAILABILITY_DISABLED


def producer_unknown(id_: str) -> Exception:
    """The refusal for a producer that does not exist."""
    return refuse(Reason.INFO_PRODUCER_NOT_FOUND, f"There is no producer {id_!r}.", info_producer=id_)
