"""What the jobs API owes to somebody outside: the calls of webhooks, as CloudEvents in binary mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from jobyard.jobs.v1 import webhook_pb2
from jobyard_server.apis.jobs.mapping import event_message, job_fields
from jobyard_server.domain.delivery import Delivery, DeliveryPolicy, HttpCall
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.domain.webhook import Told, event_of, secret_key, webhook_of
from jobyard_server.usecases.ports import DeliveryKind, Rendering
from jobyard_server.usecases.webhooks import API, KIND

FACE: Final = "jobs"
SOURCE: Final = "/jobyard/v1/jobs"
TYPE: Final = "jobyard.jobs.v1"


async def render_webhook(delivery: Delivery, context: Rendering) -> HttpCall | None:
    """The call that tells a webhook of an event; none when the webhook is gone or switched off."""
    told = event_of(delivery.facts)
    event = told.event
    record = await context.read.record(API, delivery.tenant, KIND, told.webhook)
    webhook = None if record is None else webhook_of(record)
    if webhook is None or webhook.disabled:
        return None
    job = await context.read.job(event.job, api=None, tenant=delivery.tenant) if told.include_job else None
    message = webhook_pb2.WebhookCall(event=event_message(event), job=None if job is None else job_fields(job))
    return HttpCall(
        method="POST",
        url=delivery.address,
        headers=_cloud_event(told, message),
        body=context.json(message, FACE),
        signing_secret=_key(context, webhook.sealed_secret),
    )


def _cloud_event(told: Told, message: webhook_pb2.WebhookCall) -> Mapping[str, str]:
    """The attributes of a CloudEvent, as headers."""
    event = told.event
    routing = {"ce-routingkey": told.routing_key} if told.routing_key else {}
    return {
        **routing,
        "ce-specversion": "1.0",
        "ce-id": f"{event.job_uid}.{event.job_seq}",
        "ce-source": SOURCE,
        "ce-type": f"{TYPE}.{event.type}",
        "ce-subject": event.job_uid,
        "ce-time": message.event.time.ToJsonString(),
    }


def _key(context: Rendering, sealed: str) -> bytes:
    try:
        return secret_key(context.reveal(sealed))
    except ValueError:
        raise refuse(Reason.STATE_CONFLICT, "The secret of the webhook cannot be read; put it again.") from None


def not_here(_spec: str) -> Mapping[str, Attribute]:
    """Refuse a webhook that is put as any record: nobody would have looked at its address and made its secret."""
    raise invalid("record.kind", "webhooks are put by WebhookService")


CHECKS: Final[Mapping[str, Callable[[str], Mapping[str, Attribute]]]] = {KIND: not_here}

DELIVERIES: Final[Mapping[str, DeliveryKind]] = {
    # A receiver may be down over a night. One that never comes back does not gather events without bound.
    KIND: DeliveryKind(
        render=render_webhook, policies={"": DeliveryPolicy(attempts=20, max_wait=3600.0, max_age=86_400.0)}
    ),
}
