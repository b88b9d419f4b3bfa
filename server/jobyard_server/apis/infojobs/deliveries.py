"""The calls that leave: how each is made up when it is sent, what its answer means, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.infojobs.v1 import info_job_pb2, info_subscription_pb2, info_type_pb2
from jobyard_server.apis.infojobs import owing, producers, spreading
from jobyard_server.apis.infojobs.lookup import Locked
from jobyard_server.apis.infojobs.nouns import A1EI, API, DMS, ICS, SUBSCRIPTION, JobFacts, job_facts, live, put_at
from jobyard_server.apis.infojobs.pieces import accept, refuse
from jobyard_server.apis.infojobs.telling import look, piece_of, told
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import (
    Answer,
    Delivery,
    DeliveryPolicy,
    DeliveryState,
    HttpCall,
    PeerCall,
    Problem,
    judge_below_400,
)
from jobyard_server.domain.job import Job, Micros
from jobyard_server.domain.json_text import member
from jobyard_server.usecases.ports import DeliveryKind, Rendering, Tx
from jobyard_server.usecases.ports.deliveries import Settled

ONCE = DeliveryPolicy(attempts=1, timeout=30.0)
SHOWN_TO_ALL: Final = "ics-token-for-all"
"""Profile: the token of this server is shown to consumers as well, as ICS did, though they choose their addresses."""


def kinds(options: Options) -> Mapping[str, DeliveryKind]:
    """Every kind of call, as the settings have it."""
    found = {name: _for_all(kind) for name, kind in KINDS.items()} if SHOWN_TO_ALL in options.profiles else dict(KINDS)
    found[owing.START] = replace(found[owing.START], settled=_started(options.delivery_wait_seconds))
    supervise = DeliveryKind(
        render=render_supervision,
        judge=judge_below_400,
        settled=_looked_after(producers.Supervision.of(options)),
        policies={"": ONCE},
        keep_dead=False,
    )
    return {**found, owing.SUPERVISE: supervise}


def _for_all(kind: DeliveryKind) -> DeliveryKind:
    """A kind whose calls show the token of this server."""

    async def render(delivery: Delivery, context: Rendering) -> PeerCall | None:
        call = await kind.render(delivery, context)
        return replace(call, own_token=True) if isinstance(call, HttpCall) else call

    return replace(kind, render=render)


def _looked_after(rules: producers.Supervision) -> Settled:
    """What follows when a producer was looked after."""

    def settled(tx: Tx, delivery: Delivery, _answer: Answer) -> None:
        facts = orjson.loads(delivery.facts)
        producer = Locked(tx, delivery.tenant).producer(facts["producer"])
        if producer is None or producer.registration != facts["registration"]:
            return
        answered = delivery.state is DeliveryState.DELIVERED if producer.check_url else None
        producers.look_after(tx, delivery.tenant, producer, rules, answered=answered)

    return settled


def request_message(job: Job, facts: JobFacts) -> info_job_pb2.ProducerInfoJobRequest:
    """A job as its producers get it."""
    return info_job_pb2.ProducerInfoJobRequest(
        info_job_identity=job.external_id or "",
        info_type_identity=job.definition,
        info_job_data=facts.definition,
        target_uri=facts.target_uri,
        owner=str(job.attributes.get("owner") or ""),
        last_updated=timestamp(put_at(job)),
    )


def timestamp(micros: Micros) -> Timestamp:
    """An instant."""
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


async def render_start(delivery: Delivery, context: Rendering) -> HttpCall | None:
    """The job as it is now; nothing for one that is gone, or a producer that is."""
    job = await context.read.job(delivery.job or 0, api=API, tenant=delivery.tenant)
    producer = await context.read.executor(API, delivery.tenant, orjson.loads(delivery.facts)["producer"])
    if job is None or not live(job) or producer is None:
        return None
    body = context.json(request_message(job, job_facts(job)), ICS)
    return HttpCall("POST", delivery.address, body=body, own_token=True)


def _started(wait: float) -> Settled:
    """What follows when a producer has accepted a job, or has not; ``wait`` is how long a PUT waits for that."""

    def settled(tx: Tx, delivery: Delivery, answer: Answer) -> None:
        job = tx.job(delivery.job or 0, api=API, tenant=delivery.tenant)
        if job is None or not live(job) or answer.problem is Problem.UNRENDERED:
            return
        facts = orjson.loads(delivery.facts)
        piece = piece_of(tx.subjobs(job.number), facts["producer"])
        if piece is None:
            return
        if delivery.state is DeliveryState.DELIVERED:
            accept(tx, piece, facts["generation"])
        else:
            refuse(tx, job, piece, facts["generation"], answer.message)
        # A PUT tells nobody; what follows after its answer does.
        late = tx.now - delivery.created_at > wait * 1_000_000
        look(tx, job, tell=late or delivery.policy != owing.ON_PUT)

    return settled


async def render_stop(delivery: Delivery, _context: Rendering) -> HttpCall | None:
    """A DELETE; everything about it is in its address."""
    return HttpCall("DELETE", delivery.address, own_token=True)


async def render_status(delivery: Delivery, context: Rendering) -> HttpCall | None:
    """The status that was to be told, in the words of the face through which the job was put."""
    facts = orjson.loads(delivery.facts)
    word = info_type_pb2.Availability.Value(f"AVAILABILITY_{facts['status']}")
    if facts["face"] == DMS:
        body = context.json(info_job_pb2.DmsJobStatusNotification(job_status_notification=word), DMS)
    else:
        body = context.json(info_job_pb2.EiJobStatus(ei_job_status=word), A1EI)
    return HttpCall("POST", delivery.address, body=body, by_proxy=True)


def status_told(tx: Tx, delivery: Delivery, _answer: Answer) -> None:
    """A consumer knows the status, or could not be told."""
    job = tx.job(delivery.job or 0, api=API, tenant=delivery.tenant)
    if job is not None and live(job):
        status = orjson.loads(delivery.facts)["status"]
        told(tx, job, status, done=delivery.state is DeliveryState.DELIVERED)


async def render_type_notice(delivery: Delivery, context: Rendering) -> HttpCall | None:
    """What became of a type; nothing when the subscription is gone."""
    facts = orjson.loads(delivery.facts)
    if await context.read.record(API, delivery.tenant, SUBSCRIPTION, facts["subscription"]) is None:
        return None
    notice = info_subscription_pb2.InfoTypeNotification(
        info_type_id=facts["type"],
        job_data_schema=owing.schema_of(delivery.facts),
        status=info_subscription_pb2.TypeRegistration.Value(f"TYPE_REGISTRATION_{facts['status']}"),
    )
    return HttpCall("POST", delivery.address, body=context.json(notice, ICS), by_proxy=True)


def type_told(tx: Tx, delivery: Delivery, _answer: Answer) -> None:
    """Forget a subscriber who cannot be told."""
    if delivery.state is not DeliveryState.DEAD:
        return
    id_ = orjson.loads(delivery.facts)["subscription"]
    found = tx.record(API, delivery.tenant, SUBSCRIPTION, id_)
    if found is not None and orjson.loads(found.body)["status_result_uri"] == delivery.address:
        tx.delete_record(API, delivery.tenant, SUBSCRIPTION, id_)


async def render_supervision(delivery: Delivery, _context: Rendering) -> HttpCall | None:
    """A GET; nothing for a producer that says by heartbeats that it is alive."""
    return None if delivery.address == owing.NOWHERE else HttpCall("GET", delivery.address, own_token=True)


async def render_nothing(_delivery: Delivery, _context: Rendering) -> HttpCall | None:
    """Nobody is called: what is to be done is done when it ends."""
    return None


def gone_on(tx: Tx, delivery: Delivery, _answer: Answer) -> None:
    """Do the next step of a walk."""
    spreading.go_on(tx, delivery.tenant, delivery.facts)


async def render_result(delivery: Delivery, _context: Rendering) -> HttpCall | None:
    """What the producer said of the result, as it said it."""
    body = f'{{"data":{member(delivery.facts, "data")}}}'.encode()
    return HttpCall("POST", delivery.address, body=body, by_proxy=True)


KINDS: Final[Mapping[str, DeliveryKind]] = {
    owing.START: DeliveryKind(
        render=render_start,
        judge=judge_below_400,
        policies={
            "": ONCE,
            owing.ON_PUT: DeliveryPolicy(attempts=2, multiplier=1.0, jitter=0.0, timeout=30.0),
            owing.ON_REGISTRATION: DeliveryPolicy(attempts=4, max_wait=4.0, timeout=30.0),
            owing.ON_SUPERVISION: DeliveryPolicy(attempts=2, first_wait=0.0, jitter=0.0, timeout=30.0),
        },
        keep_dead=False,
    ),
    owing.STOP: DeliveryKind(render=render_stop, judge=judge_below_400, policies={"": ONCE}, keep_dead=False),
    owing.STATUS: DeliveryKind(
        render=render_status, judge=judge_below_400, settled=status_told, policies={"": ONCE}, keep_dead=False
    ),
    owing.TYPE_NOTICE: DeliveryKind(
        render=render_type_notice,
        judge=judge_below_400,
        settled=type_told,
        policies={"": DeliveryPolicy(attempts=4, timeout=30.0)},
        keep_dead=False,
    ),
    owing.SPREAD: DeliveryKind(render=render_nothing, settled=gone_on, keep_dead=False),
    owing.RESULT: DeliveryKind(render=render_result, judge=judge_below_400),
}
"""What does not depend on settings."""
