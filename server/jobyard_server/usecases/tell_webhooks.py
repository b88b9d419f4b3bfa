"""Owes webhooks the events they want: reads what happened, and writes down how far together with what is owed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.delivery import NewDelivery
from jobyard_server.domain.event import EventType
from jobyard_server.domain.fields import JOB_FIELDS, job_value
from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.matching import matches
from jobyard_server.domain.webhook import event_facts, webhook_of
from jobyard_server.usecases.conditions import conditions
from jobyard_server.usecases.ports import JobQuery
from jobyard_server.usecases.webhooks import API, KIND, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.catalog import Record
    from jobyard_server.domain.event import Event
    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Job
    from jobyard_server.domain.webhook import Webhook
    from jobyard_server.usecases.ports import RoutingKey, Store, Tx

PAGE: Final = 500
MOST_DELIVERIES: Final = 200
"""Most deliveries owed in one transaction, so that nobody waits long behind it."""
UNHEARD_SECONDS: Final = 0.25
"""How soon the first webhook is seen. Until there is one, events need not wake anybody."""
REMEMBER_EVERY: Final = 10_000
"""After so many events that nobody wanted the position is written down all the same."""

_POSITION: Final = (API, "", "webhook_position", "events")


@dataclass(frozen=True, slots=True)
class _Listener:
    webhook: Webhook
    where: Expression | None

    def wants(self, event: Event, job: Job | None) -> bool:
        """Whether it is to be told of an event. Of a job that is gone only the end matches a filter."""
        webhook = self.webhook
        if event.position <= webhook.after:
            return False
        if webhook.event_types and event.type not in webhook.event_types:
            return False
        if self.where is None:
            return True
        if job is None:
            return event.type is EventType.JOB_DELETED
        return matches(self.where, lambda name: job_value(job, name))


@dataclass(frozen=True, slots=True)
class _Listeners:
    """All webhooks that are to be told something."""

    version: int
    """Of the webhooks when they were read."""
    by_tenant: Mapping[str, Sequence[_Listener]]
    after: int
    """Up to this position none of them is told anything."""
    filtered: bool

    def of(self, event: Event) -> Sequence[_Listener]:
        """Those that may want to be told of an event."""
        return self.by_tenant.get(event.tenant, ())


class WebhookTeller:
    """Goes through the events once, whoever restarts meanwhile.

    The position is written down together with the deliveries that follow from what lies before it. Another process
    that does the same is noticed by the position having moved, and then nothing is owed twice.
    """

    def __init__(self, store: Store, period: float = 1.0, routing_keys: Mapping[str, RoutingKey] | None = None) -> None:
        """``routing_keys``: how an API words the keys of the events of its jobs, by API."""
        self._store = store
        self._routing_keys = routing_keys or {}
        self._period = period
        self._written = -1
        """The position as it was last seen in the store; -1 before it was."""
        self._position = 0
        self._room = PAGE
        """More webhooks than there are."""
        self._known: _Listeners | None = None

    async def step(self) -> int:
        """Go through what happened, or wait a little for something to happen; how many events it was."""
        listeners = await self._listeners()
        if not listeners.by_tenant:
            await asyncio.sleep(min(self._period, UNHEARD_SECONDS))
            return 0
        # Asked before reading: what is committed between the read and the wait is not slept over.
        change = asyncio.ensure_future(self._store.changed(self._period))
        try:
            seen = await self._go_on(listeners)
            if not seen:
                await change
        finally:
            change.cancel()
        return seen

    async def _listeners(self) -> _Listeners:
        """The webhooks, which are read anew only when one of them has changed."""
        # Read first: what changes while the webhooks are read is seen at the next look.
        kept = await self._store.read.record(*VERSION)
        version = 0 if kept is None else kept.revision
        if self._known is None or self._known.version != version:
            self._known = _listening(version, await self._records())
        return self._known

    async def _records(self) -> Sequence[Record]:
        records = await self._store.read.records(API, None, KIND, after=None, limit=self._room)
        while len(records) == self._room:
            self._room *= 4
            records = await self._store.read.records(API, None, KIND, after=None, limit=self._room)
        return records

    async def _go_on(self, listeners: _Listeners) -> int:
        if self._written < 0:
            await self._read_position()
        floor, _ = await self._store.read.event_bounds()
        start = max(self._position, floor, listeners.after)
        events = await self._store.read.events(after=start, limit=PAGE)
        if not events:
            return 0
        jobs = await self._jobs(listeners, events)
        owed: list[NewDelivery] = []
        last = start
        for event in events:
            job = jobs.get(event.job)
            key = self._routing_key(event, job)
            owed += [_owed(one.webhook, event, key) for one in listeners.of(event) if one.wants(event, job)]
            last = event.position
            if len(owed) >= MOST_DELIVERIES:
                break
        if owed or last - self._written >= REMEMBER_EVERY:
            return await self._owe(owed, last) and len(events)
        self._position = last
        return len(events)

    async def _jobs(self, listeners: _Listeners, events: Sequence[Event]) -> Mapping[int, Job]:
        wanted = (event for event in events if listeners.filtered or event.api in self._routing_keys)
        numbers = tuple({event.job for event in wanted})
        if not numbers:
            return {}
        query = JobQuery(None, None, Comparison("number", Op.IN, numbers), limit=len(numbers))
        return {job.number: job for job in await self._store.read.jobs(query)}

    def _routing_key(self, event: Event, job: Job | None) -> str:
        words = self._routing_keys.get(event.api)
        return "" if words is None or job is None else words(job, event)

    async def _owe(self, owed: Sequence[NewDelivery], position: int) -> int:
        """Write deliveries and position together; 1, or 0 when somebody else was faster."""
        before = self._written

        def owe(tx: Tx) -> int:
            kept = tx.record(*_POSITION)
            written = 0 if kept is None else int(kept.body)
            if written != before:
                return written
            for delivery in owed:
                tx.deliver(delivery)
            tx.put_record(*_POSITION, str(position))
            return position

        self._written = self._position = await self._store.run(owe)
        return 1

    async def _read_position(self) -> None:
        kept = await self._store.read.record(*_POSITION)
        self._written = self._position = 0 if kept is None else int(kept.body)


def _listening(version: int, records: Sequence[Record]) -> _Listeners:
    by_tenant: dict[str, list[_Listener]] = {}
    for record in records:
        webhook = webhook_of(record)
        if not webhook.disabled:
            listener = _Listener(webhook, conditions(webhook.filter, None, JOB_FIELDS))
            by_tenant.setdefault(webhook.tenant, []).append(listener)
    listeners = [one for some in by_tenant.values() for one in some]
    after = min((one.webhook.after for one in listeners), default=0)
    return _Listeners(version, by_tenant, after, any(one.where is not None for one in listeners))


def _owed(webhook: Webhook, event: Event, routing_key: str) -> NewDelivery:
    return NewDelivery(
        api=API,
        tenant=event.tenant,
        kind=KIND,
        address=webhook.url,
        facts=event_facts(webhook, event, routing_key),
        job=event.job,
        lane=f"{webhook.id}/{event.job}",
    )
