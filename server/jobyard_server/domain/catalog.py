"""The nouns an operator or an API loads before jobs can run: Definition, Executor, Queue, Record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from jobyard_server.domain.job import LeaseLoss, RetryPolicy, TimeLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Attribute, Micros


@dataclass(frozen=True, slots=True)
class Definition:
    """What can be run. Never carries a command: commands belong to workers."""

    api: str
    tenant: str
    id: str
    version: int
    kind: str
    """The noun in the words of its API: ``contract``, ``function``, ``info-type`` ..."""
    base: str
    """Another definition this one refines (a persisted job request); empty for none."""
    display_name: str
    enabled: bool
    queue: str
    spec: str
    """API-owned JSON text."""
    attributes: Mapping[str, Attribute]
    retry: RetryPolicy
    limits: TimeLimits
    on_lease_loss: LeaseLoss
    resumable: bool
    revision: int
    created_by: str
    created_at: Micros
    updated_at: Micros


@dataclass(frozen=True, slots=True)
class NewDefinition:
    """A definition as it is put."""

    api: str
    tenant: str
    actor: str
    id: str
    version: int = 0
    kind: str = ""
    base: str = ""
    display_name: str = ""
    enabled: bool = True
    queue: str = "default"
    spec: str = "{}"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: TimeLimits = field(default_factory=TimeLimits)
    on_lease_loss: LeaseLoss = LeaseLoss.REQUEUE
    resumable: bool = False


class Reach(StrEnum):
    """How an executor gets its subjobs."""

    PULL = "PULL"
    PUSH = "PUSH"


@dataclass(frozen=True, slots=True)
class Executor:
    """Who can run something: a queue of workers, or an address that is called."""

    api: str
    tenant: str
    id: str
    kind: str
    reach: Reach
    queue: str
    enabled: bool
    spec: str
    attributes: Mapping[str, Attribute]
    revision: int
    created_by: str
    created_at: Micros
    updated_at: Micros


@dataclass(frozen=True, slots=True)
class NewExecutor:
    """An executor as it is put."""

    api: str
    tenant: str
    actor: str
    id: str
    kind: str = ""
    reach: Reach = Reach.PULL
    queue: str = ""
    enabled: bool = True
    spec: str = "{}"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class QueueOrder(StrEnum):
    """In which order ready subjobs of one priority leave a queue."""

    FIFO = "FIFO"
    FAIR = "FAIR"


class QueueStatus(StrEnum):
    """Whether a queue hands out work."""

    ENABLED = "ENABLED"
    SCHEDULED = "SCHEDULED"
    """Only inside its daily time slots."""
    DISABLED = "DISABLED"
    """Jobs wait."""


@dataclass(frozen=True, slots=True)
class TimeSlot:
    """A daily opening in the queue's time zone, in minutes since midnight; ``end`` before ``start`` spans midnight."""

    start: int
    end: int

    def covers(self, minute: int) -> bool:
        """Whether ``minute`` (0-1439) lies in the slot, its end excluded."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a second on average, and at most ``burst`` at once after a pause."""

    per_second: float = 0.0
    """0 means without limit."""
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Queue:
    """A line of ready subjobs. A queue nobody put exists with these defaults as soon as it is named."""

    name: str
    priority: int = 5
    """1 (low) to 10 (high): a worker serving several queues empties higher ones first."""
    order: QueueOrder = QueueOrder.FIFO
    status: QueueStatus = QueueStatus.ENABLED
    slots: tuple[TimeSlot, ...] = ()
    time_zone: str = "UTC"
    max_running: int = 0
    """Subjobs that may run at once; 0 means without limit."""
    max_running_per_tenant: int = 0
    """The same of one tenant."""
    rate: Rate = Rate()
    """How fast subjobs are handed out."""
    tenant_rate: Rate = Rate()
    """The same of one tenant."""
    revision: int = 0
    updated_at: Micros = 0


@dataclass(frozen=True, slots=True)
class Record:
    """Anything else an API owns: (api, tenant, kind, id) with a raw body and indexed attributes."""

    api: str
    tenant: str
    kind: str
    id: str
    body: str
    attributes: Mapping[str, Attribute]
    revision: int
    created_by: str
    created_at: Micros
    updated_at: Micros
