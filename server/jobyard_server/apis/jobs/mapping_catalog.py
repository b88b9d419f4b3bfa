"""Between the messages of jobyard.jobs.v1 and the domain: definitions, executors, queues and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobyard.jobs.v1 import definition_pb2, executor_pb2, queue_pb2, record_pb2
from jobyard_server.apis.jobs.mapping import (
    LEASE_LOSS,
    any_json,
    etag,
    limits_message,
    numbers,
    object_json,
    retry_message,
    retry_policy,
    time_limits,
    timestamp,
    word,
)
from jobyard_server.apis.jobs.mapping_submit import known_api
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import (
    Definition,
    Executor,
    NewDefinition,
    NewExecutor,
    Queue,
    QueueOrder,
    QueueStatus,
    Rate,
    Reach,
    Record,
    TimeSlot,
)
from jobyard_server.domain.job import Attribute, LeaseLoss
from jobyard_server.usecases.call import Call

REACH: Final = numbers(Reach, executor_pb2.Reach, "REACH")
QUEUE_ORDER: Final = numbers(QueueOrder, queue_pb2.QueueOrder, "QUEUE_ORDER")
QUEUE_STATUS: Final = numbers(QueueStatus, queue_pb2.QueueStatus, "QUEUE_STATUS")


def new_definition(message: definition_pb2.Definition, call: Call, options: Options) -> NewDefinition:
    """A definition as it is put."""
    api = known_api(message.api, options.apis, "definition.api")
    spec = object_json("definition.spec", message.spec)
    usual = NewDefinition(api=api, tenant=call.tenant, actor=call.user, id=message.id)
    return NewDefinition(
        api=api,
        tenant=call.tenant,
        actor=call.user,
        id=message.id,
        version=message.version,
        kind=message.kind,
        base=message.base,
        display_name=message.display_name,
        enabled=not message.disabled,
        queue=message.queue or usual.queue,
        spec=spec,
        attributes=_checked(options, api, message.kind, spec),
        retry=retry_policy(message.retry) if message.HasField("retry") else usual.retry,
        limits=time_limits(message.limits),
        on_lease_loss=word(LEASE_LOSS, message.on_lease_loss, LeaseLoss.REQUEUE, "definition.on_lease_loss"),
        resumable=message.resumable,
    )


def definition_message(definition: Definition) -> definition_pb2.Definition:
    """A definition as clients see it."""
    return definition_pb2.Definition(
        id=definition.id,
        version=definition.version,
        api=definition.api,
        tenant=definition.tenant,
        kind=definition.kind,
        base=definition.base,
        display_name=definition.display_name,
        disabled=not definition.enabled,
        queue=definition.queue,
        spec=definition.spec,
        retry=retry_message(definition.retry),
        limits=limits_message(definition.limits),
        on_lease_loss=LEASE_LOSS[definition.on_lease_loss],
        resumable=definition.resumable,
        etag=etag(definition.revision),
        created_by=definition.created_by,
        create_time=timestamp(definition.created_at),
        update_time=timestamp(definition.updated_at),
    )


def new_executor(message: executor_pb2.Executor, call: Call, options: Options) -> NewExecutor:
    """An executor as it is put."""
    api = known_api(message.api, options.apis, "executor.api")
    spec = object_json("executor.spec", message.spec)
    return NewExecutor(
        api=api,
        tenant=call.tenant,
        actor=call.user,
        id=message.id,
        kind=message.kind,
        reach=word(REACH, message.reach, Reach.PULL, "executor.reach"),
        queue=message.queue,
        enabled=not message.disabled,
        spec=spec,
        attributes=_checked(options, api, message.kind, spec),
    )


def executor_message(executor: Executor) -> executor_pb2.Executor:
    """An executor as clients see it."""
    return executor_pb2.Executor(
        id=executor.id,
        api=executor.api,
        tenant=executor.tenant,
        kind=executor.kind,
        reach=REACH[executor.reach],
        queue=executor.queue,
        disabled=not executor.enabled,
        spec=executor.spec,
        etag=etag(executor.revision),
        created_by=executor.created_by,
        create_time=timestamp(executor.created_at),
        update_time=timestamp(executor.updated_at),
    )


def queue(message: queue_pb2.Queue) -> Queue:
    """A queue as it is put."""
    usual = Queue(message.name)
    return Queue(
        name=message.name,
        priority=message.priority or usual.priority,
        order=word(QUEUE_ORDER, message.order, QueueOrder.FIFO, "queue.order"),
        status=word(QUEUE_STATUS, message.status, QueueStatus.ENABLED, "queue.status"),
        slots=tuple(TimeSlot(_minute(slot.start), _minute(slot.end)) for slot in message.time_slots),
        time_zone=message.time_zone or usual.time_zone,
        max_running=message.max_running,
        max_running_per_tenant=message.max_running_per_tenant,
        rate=_rate(message.rate),
        tenant_rate=_rate(message.tenant_rate),
    )


def queue_message(found: Queue) -> queue_pb2.Queue:
    """A queue as clients see it."""
    return queue_pb2.Queue(
        name=found.name,
        priority=found.priority,
        order=QUEUE_ORDER[found.order],
        status=QUEUE_STATUS[found.status],
        time_slots=[queue_pb2.TimeSlot(start=_clock(slot.start), end=_clock(slot.end)) for slot in found.slots],
        time_zone=found.time_zone,
        max_running=found.max_running,
        max_running_per_tenant=found.max_running_per_tenant,
        rate=_rate_message(found.rate),
        tenant_rate=_rate_message(found.tenant_rate),
        etag=etag(found.revision),
        update_time=timestamp(found.updated_at),
    )


def _rate(message: queue_pb2.Rate) -> Rate:
    return Rate(message.per_second, message.burst or max(1, int(message.per_second)))


def _rate_message(rate: Rate) -> queue_pb2.Rate | None:
    return queue_pb2.Rate(per_second=rate.per_second, burst=rate.burst) if rate.per_second else None


def _minute(clock: str) -> int:
    """Minutes since midnight; the rule of the field has seen to the form."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def record_body(message: record_pb2.Record, options: Options) -> tuple[str, Mapping[str, Attribute]]:
    """The body of a record, and what its API's lists filter by."""
    api = known_api(message.api, options.apis, "record.api")
    body = any_json("record.body", message.body) if message.body else "null"
    return body, _checked(options, api, message.kind, body)


def record_message(record: Record) -> record_pb2.Record:
    """A record as clients see it."""
    return record_pb2.Record(
        api=record.api,
        kind=record.kind,
        id=record.id,
        tenant=record.tenant,
        body=record.body,
        etag=etag(record.revision),
        created_by=record.created_by,
        create_time=timestamp(record.created_at),
        update_time=timestamp(record.updated_at),
    )


def _checked(options: Options, api: str, kind: str, text: str) -> Mapping[str, Attribute]:
    check = options.checks.get((api, kind))
    return {} if check is None else check(text)
