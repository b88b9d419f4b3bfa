"""Put, get, list and delete webhooks."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.address import destination_of
from jobyard_server.domain.fields import JOB_FIELDS
from jobyard_server.domain.reason import invalid
from jobyard_server.domain.webhook import Webhook, secret_key, secret_of, webhook_body, webhook_of
from jobyard_server.usecases.conditions import conditions
from jobyard_server.usecases.credentials import seal_secret
from jobyard_server.usecases.records import delete_record, get_record, list_records

if TYPE_CHECKING:
    from jobyard_server.domain.catalog import Record
    from jobyard_server.domain.event import EventType
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Tx

API: Final = "jobs"
KIND: Final = "webhook"
KEY_BYTES: Final = 32
VERSION: Final = (API, "", "webhook_version", "webhooks")
"""The record whose revision grows with every change of a webhook: while it stays, none has to be read again."""


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A webhook as it is put."""

    id: str
    url: str
    filter: str = ""
    event_types: frozenset[EventType] = frozenset()
    include_job: bool = False
    disabled: bool = False
    secret: str = ""
    """Empty: the one it has, or a new one."""


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """One page of webhooks."""

    webhooks: tuple[Webhook, ...]
    next_page_token: str


async def put_webhook(store: Store, call: Call, new: NewWebhook) -> tuple[Webhook, str]:
    """Create or replace; the webhook, and its secret where it is new."""
    _check(new)
    made = new.secret or secret_of(secrets.token_bytes(KEY_BYTES))
    sealed = seal_secret(store.signer, made)
    _, head = await store.read.event_bounds()

    def put(tx: Tx) -> tuple[Webhook, str]:
        found = tx.record(API, call.tenant, KIND, new.id)
        before = None if found is None else webhook_of(found)
        keeps = before is not None and not new.secret
        goes_on = before is not None and not before.disabled
        kept = Webhook(
            id=new.id,
            tenant=call.tenant,
            url=new.url,
            filter=new.filter,
            event_types=new.event_types,
            include_job=new.include_job,
            disabled=new.disabled,
            sealed_secret=before.sealed_secret if before is not None and keeps else sealed,
            after=before.after if before is not None and goes_on else head,
            revision=0,
            created_by="",
            created_at=0,
            updated_at=0,
        )
        record = tx.put_record(API, call.tenant, KIND, new.id, webhook_body(kept), by=call.user)
        webhooks_changed(tx)
        return webhook_of(record), "" if keeps else made

    return await store.run(put)


async def get_webhook(store: Store, call: Call, id_: str) -> Webhook:
    """One webhook."""
    return webhook_of(await get_record(store, call, KIND, id_, api=API))


async def list_webhooks(store: Store, call: Call, *, size: int = 0, token: str = "") -> WebhookPage:
    """Webhooks by their identifiers, those of the caller's tenant."""
    page = await list_records(store, call, KIND, api=API, size=size, token=token)
    return WebhookPage(tuple(map(webhook_of, page.records)), page.next_page_token)


async def delete_webhook(store: Store, call: Call, id_: str) -> None:
    """Remove one. What it is owed still is found to be pointless when it is to be sent."""
    await delete_record(store, call, KIND, id_, api=API, follow=webhooks_changed)


def webhooks_changed(tx: Tx, _before: Record | None = None, _after: Record | None = None) -> None:
    """Have everybody who tells webhooks read them anew."""
    tx.put_record(*VERSION, "")


def _check(new: NewWebhook) -> None:
    """Refuse what could never be sent or never match."""
    try:
        destination_of(new.url)
    except ValueError as problem:
        raise invalid("webhook.url", str(problem)) from None
    if new.secret:
        try:
            secret_key(new.secret)
        except ValueError as problem:
            raise invalid("webhook.secret", str(problem)) from None
    conditions(new.filter, None, JOB_FIELDS)
