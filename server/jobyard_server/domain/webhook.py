"""Webhooks: which events somebody outside wants to be told of, and where."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.event import Event, EventType
from jobyard_server.domain.state import State

if TYPE_CHECKING:
    from jobyard_server.domain.catalog import Record
    from jobyard_server.domain.job import Micros

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins
SECRET_BYTES: Final = range(24, 65)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that is called for events."""

    id: str
    tenant: str
    url: str
    filter: str
    event_types: frozenset[EventType]
    """Empty: all."""
    include_job: bool
    disabled: bool
    sealed_secret: str
    after: int
    """Position of the newest event that it is not told of: what happened before it was made or enabled."""
    revision: int
    created_by: str
    created_at: Micros
    updated_at: Micros


def webhook_body(webhook: Webhook) -> str:
    """What is kept of a webhook beside the columns of its record."""
    said = {
        "url": webhook.url,
        "filter": webhook.filter,
        "event_types": sorted(webhook.event_types),
        "include_job": webhook.include_job,
        "disabled": webhook.disabled,
        "secret": webhook.sealed_secret,
        "after": webhook.after,
    }
    return json.dumps(said)


def webhook_of(record: Record) -> Webhook:
    """The webhook that a record keeps."""
    said = json.loads(record.body)
    return Webhook(
        id=record.id,
        tenant=record.tenant,
        url=said["url"],
        filter=said["filter"],
        event_types=frozenset(map(EventType, said["event_types"])),
        include_job=said["include_job"],
        disabled=said["disabled"],
        sealed_secret=said["secret"],
        after=said["after"],
        revision=record.revision,
        created_by=record.created_by,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def secret_key(secret: str) -> bytes:
    """The key in a secret; ``ValueError`` says what is wrong with it."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"does not begin with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(f"is not base64 after {SECRET_PREFIX}") from None
    if len(key) not in SECRET_BYTES:
        raise ValueError(f"has {len(key)} bytes; {SECRET_BYTES[0]} to {SECRET_BYTES[-1]} are taken")
    return key


def secret_of(key: bytes) -> str:
    """The secret that holds a key."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and who is told of it."""

    webhook: str
    include_job: bool
    """Whether it wants to see the job."""
    event: Event
    routing_key: str
    """By which its receiver may pass it on; empty where the API of the job has no such keys."""


def event_facts(webhook: Webhook, event: Event, routing_key: str = "") -> str:
    """What has to be known to tell a webhook of an event later."""
    said = {name: getattr(event, name) for name in Event.__slots__}
    facts = {"webhook": webhook.id, "include_job": webhook.include_job, "event": said}
    return json.dumps({**facts, "routing_key": routing_key} if routing_key else facts)


def event_of(facts: str) -> Told:
    """What is to be told, and to whom."""
    said = json.loads(facts)
    event = said["event"]
    words = {"type": EventType(event["type"]), "state": State(event["state"])}
    subjob_state = None if event["subjob_state"] is None else State(event["subjob_state"])
    return Told(
        webhook=said["webhook"],
        include_job=said["include_job"],
        event=Event(**{**event, **words, "subjob_state": subjob_state}),
        routing_key=said.get("routing_key", ""),
    )
