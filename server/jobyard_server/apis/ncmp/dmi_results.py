"""Where the results of read jobs go: to the bucket or the topic of their destination, by deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from jobyard_server.apis.ncmp.dmi_jobs import READ, ROLE
from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import (
    Answer,
    Delivery,
    DeliveryPolicy,
    MessageCall,
    NewDelivery,
    ObjectCall,
    PeerCall,
    Problem,
    Verdict,
)
from jobyard_server.domain.job import Job, Subjob
from jobyard_server.domain.state import State
from jobyard_server.usecases.contents import pieces_of
from jobyard_server.usecases.ports import DeliveryKind, Reader, Rendering, Tx

RESULT: Final = "dmi-result"
PLACE: Final = "http://results.invalid"
"""Stands where deliveries name whom they go to; the destination is their channel."""
BUCKETS: Final = "/s3-bucket"
EVENT: Final = "org.onap.cps.ncmp.events.async1_0_0.DataJobEvent"
_WITH_RESULT: Final = frozenset({State.SUCCEEDED, State.PARTIALLY_FAILED})


def key_of(job: Job) -> str:
    """Name of a result in its bucket: no tenant sees those of another."""
    return f"{prefix_of(job.tenant)}{job.uid}.json"


def prefix_of(tenant: str) -> str:
    """How the names of a tenant's results begin."""
    return f"{quote(tenant, safe='').replace('%', '_')}/"


def job_of(tenant: str, key: str) -> str:
    """The uid of the job whose result has such a name; empty for any other name."""
    prefix = prefix_of(tenant)
    return key[len(prefix) : -len(".json")] if key.startswith(prefix) and key.endswith(".json") else ""


def uri_of(options: Options, job: Job, destination: str) -> str:
    """Where the result of a read job is found: the name of its topic, or a URL."""
    if options.topics is not None and options.topics.serves(destination):
        return destination
    bucket = quote(destination, safe="") or "results"
    return f"{options.public_url.rstrip('/')}{BUCKETS}/{bucket}/{key_of(job)}"


def ended(tx: Tx, job: Job) -> None:
    """A job has ended; what it read goes to its destination."""
    said = job.attributes
    destination = said.get("destination")
    if said.get("role") != ROLE or said.get("data_kind") != READ or not isinstance(destination, str):
        return
    if destination and job.state in _WITH_RESULT:
        tx.deliver(NewDelivery(API, job.tenant, RESULT, PLACE, job=job.number, channel=destination))


def kinds(options: Options) -> Mapping[str, DeliveryKind]:
    """How results are sent, as the settings have it."""

    async def render(delivery: Delivery, context: Rendering) -> PeerCall | None:
        job = await context.read.job(delivery.job or 0, api=API, tenant=delivery.tenant)
        if job is None:
            return None
        destination = str(job.attributes.get("destination") or "")
        subjob = (await context.read.subjobs(job.number, limit=1))[0]
        if options.objects is not None and options.objects.serves(destination):
            return ObjectCall(destination, key_of(job), lambda: pieces_of(context.read, subjob.result))
        if options.topics is not None and options.topics.serves(destination):
            return await _message(options, context.read, job, subjob, destination)
        return None

    return {RESULT: DeliveryKind(render, judge, policies={"": DeliveryPolicy(attempts=20, timeout=120.0)})}


def judge(answer: Answer) -> Verdict:
    """What is refused for good is not sent again."""
    if answer.status == 200:
        return Verdict.DONE
    refused = answer.status == 413 or answer.problem is Problem.ADDRESS_REFUSED
    return Verdict.GIVE_UP if refused else Verdict.RETRY


async def _message(options: Options, read: Reader, job: Job, subjob: Subjob, destination: str) -> MessageCall:
    """A result as an event; one too large for the broker says where it is found."""
    said = {name: str(job.attributes.get(name) or "") for name in ("data_job", "data_producer")}
    attributes = {
        "specversion": "1.0",
        "type": EVENT,
        "source": f"dmi.{quote(said['data_job'], safe='')}",
        "dataschema": f"urn:cps:{EVENT}:1.0.0",
        "correlationid": said["data_job"],
        "destination": destination,
        "dataproducerid": said["data_producer"],
        "subjobid": str(job.number),
    }
    assert options.topics is not None
    data = bytearray()
    async for piece in pieces_of(read, subjob.result):
        data += piece
        if len(data) > options.topics.most_bytes:
            address = f"{options.public_url.rstrip('/')}{BUCKETS}/{quote(destination, safe='')}/{key_of(job)}"
            return MessageCall(destination, attributes | {"dataref": address})
    return MessageCall(destination, attributes, bytes(data))
