"""Between the messages of jobyard.jobs.v1 and the domain: deliveries and webhooks."""

from __future__ import annotations

from typing import Final

from jobyard.jobs.v1 import delivery_pb2, webhook_pb2
from jobyard_server.apis.jobs.mapping import EVENT_TYPE, etag, numbers, timestamp, word
from jobyard_server.domain.delivery import Delivery, DeliveryState
from jobyard_server.domain.event import EventType
from jobyard_server.domain.webhook import Webhook
from jobyard_server.usecases.webhooks import NewWebhook

DELIVERY_STATE: Final = numbers(DeliveryState, delivery_pb2.DeliveryState, "DELIVERY_STATE")
_TO_COME: Final = frozenset({DeliveryState.WAITING, DeliveryState.READY})


def delivery_state(number: int) -> DeliveryState | None:
    """The state that a list is narrowed to; none for 0."""
    return word(DELIVERY_STATE, number, DeliveryState.DEAD, "state") if number else None


def delivery_message(delivery: Delivery) -> delivery_pb2.Delivery:
    """A delivery as clients see it."""
    return delivery_pb2.Delivery(
        uid=delivery.uid,
        api=delivery.api,
        tenant=delivery.tenant,
        kind=delivery.kind,
        job=delivery.job or 0,
        lane=delivery.lane,
        destination=delivery.destination,
        address=delivery.address,
        state=DELIVERY_STATE[delivery.state],
        attempts=delivery.attempts,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        facts=delivery.facts,
        next_attempt_time=timestamp(delivery.next_at) if delivery.state in _TO_COME else None,
        create_time=timestamp(delivery.created_at),
        update_time=timestamp(delivery.updated_at),
    )


def new_webhook(message: webhook_pb2.Webhook) -> NewWebhook:
    """A webhook as it is put."""
    types = (word(EVENT_TYPE, number, EventType.JOB_CHANGED, "webhook.event_types") for number in message.event_types)
    return NewWebhook(
        id=message.id,
        url=message.url,
        filter=message.filter,
        event_types=frozenset(types),
        include_job=message.include_job,
        disabled=message.disabled,
        secret=message.secret,
    )


def webhook_message(webhook: Webhook, secret: str = "") -> webhook_pb2.Webhook:
    """A webhook as clients see it; its secret only where it was just set."""
    return webhook_pb2.Webhook(
        id=webhook.id,
        url=webhook.url,
        filter=webhook.filter,
        event_types=sorted(EVENT_TYPE[type_] for type_ in webhook.event_types),
        include_job=webhook.include_job,
        disabled=webhook.disabled,
        secret=secret,
        tenant=webhook.tenant,
        etag=etag(webhook.revision),
        created_by=webhook.created_by,
        create_time=timestamp(webhook.created_at),
        update_time=timestamp(webhook.updated_at),
    )
