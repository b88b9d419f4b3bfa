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
from jobyard_server.usecases.webhooks import API, KIND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.event import Event
    from jobyard_server.domain.filter import Expression
    from jobyard_server.domain.job import Job
    from jobyard_server.domain.webhook import Webhook
    from jobyard_server.usecases.ports import RoutingKey, Store, Tx

PAGE: Final = 500
MOST_DELIVERIES: Final = 200
"""Most deliveries owed in one transaction, so that nobody waits long behind it."""
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
        if webhook.tenant != event.tenant or event.position <= webhook.after:
            return False
        if webhook.event_types and event.type not in webhook.event_types:
            return False
        if self.where is None:
            return True
        if job is None:
            return event.type is EventType.JOB_DELETED
        return matches(self.where, lambda name: job_value(job, name))


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

    async def step(self) -> int:
        """Go through what happened, or wait a little for something to happen; how many events it was."""
        # Asked before reading: what is committed between the read and the wait is not slept over.
        change = asyncio.ensure_future(self._store.changed(self._period))
        try:
            listeners = await self._listeners()
            seen = await self._go_on(listeners) if listeners else 0
            if not seen:
                await change
        finally:
            change.cancel()
        return seen

    async def _listeners(self) -> list[_Listener]:
        records = await self._store.read.records(API, None, KIND, after=None, limit=self._room)
        while len(records) == self._room:
            self._room *= 4
            records = await self._store.read.records(API, None, KIND, after=None, limit=self._room)
        found: list[_Listener] = []
        for record in records:
            webhook = webhook_of(record)
            if not webhook.disabled:
                found.append(_Listener(webhook, conditions(webhook.filter, None, JOB_FIELDS)))
        return found

    async def _go_on(self, listeners: Sequence[_Listener]) -> int:
        if self._written < 0:
            await self._read_position()
        floor, _ = await self._store.read.event_bounds()
        start = max(self._position, floor, min(one.webhook.after for one in listeners))
        events = await self._store.read.events(after=start, limit=PAGE)
        if not events:
            return 0
        jobs = await self._jobs(listeners, events)
        owed: list[NewDelivery] = []
        last = start
        for event in events:
            job = jobs.get(event.job)
            key = self._routing_key(event, job)
            owed += [_owed(one.webhook, event, key) for one in listeners if one.wants(event, job)]
            last = event.position
            if len(owed) >= MOST_DELIVERIES:
                break
        if owed or last - self._written >= REMEMBER_EVERY:
            return await self._owe(owed, last) and len(events)
        self._position = last
        return len(events)

    async def _jobs(self, listeners: Sequence[_Listener], events: Sequence[Event]) -> Mapping[int, Job]:
        filtered = any(one.where is not None for one in listeners)
        numbers = tuple({event.job for event in events if filtered or event.api in self._routing_keys})
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
