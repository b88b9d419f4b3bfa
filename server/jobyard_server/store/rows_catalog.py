"""Rows of definitions, executors, queues and records to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from jobyard_server.domain.catalog import (
    Definition,
    Executor,
    Queue,
    QueueOrder,
    QueueStatus,
    Rate,
    Reach,
    Record,
    TimeSlot,
)
from jobyard_server.domain.job import LeaseLoss
from jobyard_server.store.rows import (
    Row,
    attributes,
    attributes_text,
    given,
    kept,
    limits_text,
    retry_policy,
    retry_text,
    time_limits,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.catalog import NewDefinition, NewExecutor

DEFINITION_COLUMNS: Final = (
    *("api", "tenant", "id", "version", "kind", "base", "display_name", "enabled", "queue", "spec", "attributes"),
    *("retry", "limits", "on_lease_loss", "resumable", "revision", "created_by", "created_at", "updated_at"),
)


def definition(row: Sequence[Any]) -> Definition:
    """A definition from a row of :data:`DEFINITION_COLUMNS`."""
    return Definition(
        api=row[0],
        tenant=given(row[1]),
        id=given(row[2]),
        version=row[3],
        kind=given(row[4]),
        base=given(row[5]),
        display_name=given(row[6]),
        enabled=bool(row[7]),
        queue=given(row[8]),
        spec=row[9],
        attributes=attributes(row[10]),
        retry=retry_policy(row[11]),
        limits=time_limits(row[12]),
        on_lease_loss=LeaseLoss(row[13]),
        resumable=bool(row[14]),
        revision=row[15],
        created_by=given(row[16]),
        created_at=row[17],
        updated_at=row[18],
    )


def new_definition(new: NewDefinition, now: int) -> Row:
    """The row of a definition as it is put, in the order of :data:`DEFINITION_COLUMNS`."""
    return (
        *(new.api, kept(new.tenant), kept(new.id), new.version, kept(new.kind), kept(new.base)),
        *(kept(new.display_name), new.enabled, kept(new.queue), new.spec, attributes_text(new.attributes)),
        *(retry_text(new.retry), limits_text(new.limits), new.on_lease_loss.value, new.resumable, 1),
        *(kept(new.actor), now, now),
    )


EXECUTOR_COLUMNS: Final = (
    *("api", "tenant", "id", "kind", "reach", "queue", "enabled", "spec", "attributes", "revision"),
    *("created_by", "created_at", "updated_at"),
)


def executor(row: Sequence[Any]) -> Executor:
    """An executor from a row of :data:`EXECUTOR_COLUMNS`."""
    return Executor(
        api=row[0],
        tenant=given(row[1]),
        id=given(row[2]),
        kind=given(row[3]),
        reach=Reach(row[4]),
        queue=given(row[5]),
        enabled=bool(row[6]),
        spec=row[7],
        attributes=attributes(row[8]),
        revision=row[9],
        created_by=given(row[10]),
        created_at=row[11],
        updated_at=row[12],
    )


def new_executor(new: NewExecutor, now: int) -> Row:
    """The row of an executor as it is put, in the order of :data:`EXECUTOR_COLUMNS`."""
    return (
        *(new.api, kept(new.tenant), kept(new.id), kept(new.kind), new.reach.value, kept(new.queue), new.enabled),
        *(new.spec, attributes_text(new.attributes), 1, kept(new.actor), now, now),
    )


QUEUE_COLUMNS: Final = (
    *("name", "priority", "ordering", "status", "slots", "time_zone", "max_running", "max_running_per_tenant"),
    *("rate", "burst", "tenant_rate", "tenant_burst", "revision", "updated_at"),
)


def queue(row: Sequence[Any]) -> Queue:
    """A queue from a row of :data:`QUEUE_COLUMNS`."""
    return Queue(
        name=given(row[0]),
        priority=row[1],
        order=QueueOrder(row[2]),
        status=QueueStatus(row[3]),
        slots=tuple(TimeSlot(start, end) for start, end in orjson.loads(row[4])),
        time_zone=given(row[5]),
        max_running=row[6],
        max_running_per_tenant=row[7],
        rate=Rate(row[8], row[9]),
        tenant_rate=Rate(row[10], row[11]),
        revision=row[12],
        updated_at=row[13],
    )


def new_queue(new: Queue, now: int) -> Row:
    """The row of a queue as it is put, in the order of :data:`QUEUE_COLUMNS`."""
    slots = orjson.dumps([[slot.start, slot.end] for slot in new.slots]).decode()
    return (
        *(kept(new.name), new.priority, new.order.value, new.status.value, slots, kept(new.time_zone)),
        *(new.max_running, new.max_running_per_tenant, new.rate.per_second, new.rate.burst),
        *(new.tenant_rate.per_second, new.tenant_rate.burst, 1, now),
    )


RECORD_COLUMNS: Final = (
    *("api", "tenant", "kind", "id", "body", "attributes", "revision", "created_by", "created_at", "updated_at"),
)


def record(row: Sequence[Any]) -> Record:
    """A record from a row of :data:`RECORD_COLUMNS`."""
    return Record(
        api=row[0],
        tenant=given(row[1]),
        kind=given(row[2]),
        id=given(row[3]),
        body=row[4],
        attributes=attributes(row[5]),
        revision=row[6],
        created_by=given(row[7]),
        created_at=row[8],
        updated_at=row[9],
    )
