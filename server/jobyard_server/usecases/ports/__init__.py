"""What the use cases need from the outside, as protocols: the store, its transactions, its readers, and who delivers.

Hot verbs are commands that the store takes in sets (``submit``, ``acquire``, ``heartbeat``, ``settle``); a refusal
of one command never disturbs its neighbours. Every other write is a closure ``(tx) -> result`` run by
:meth:`Store.run`; it may be run again after a rollback, so it touches nothing but its ``tx``.
An answer of any write leaves after its commit is on disk.
"""

from jobyard_server.usecases.ports.deliveries import (
    ClaimDeliveries,
    Deliverer,
    DeliveryKind,
    DeliveryResult,
    Judge,
    Render,
    Rendering,
    RoutingKey,
    nothing_follows,
)
from jobyard_server.usecases.ports.reading import DefinitionQuery, JobQuery, Order, Reader, RecordQuery
from jobyard_server.usecases.ports.schedules import (
    DueSchedule,
    DueTime,
    Fire,
    Fired,
    FireRecord,
    KeptSchedule,
    MakeJobs,
)
from jobyard_server.usecases.ports.store import Store, Upkeep
from jobyard_server.usecases.ports.transactions import ImportedJob, JobEnded, Tx
from jobyard_server.usecases.ports.work import (
    Acquire,
    Acquired,
    AppendLog,
    Beaten,
    Directive,
    Heartbeat,
    HeldSubjob,
    Lease,
    Settle,
    Settled,
    Submitted,
)

__all__ = [
    "Acquire",
    "Acquired",
    "AppendLog",
    "Beaten",
    "ClaimDeliveries",
    "DefinitionQuery",
    "Deliverer",
    "DeliveryKind",
    "DeliveryResult",
    "Directive",
    "DueSchedule",
    "DueTime",
    "Fire",
    "FireRecord",
    "Fired",
    "Heartbeat",
    "HeldSubjob",
    "ImportedJob",
    "JobEnded",
    "JobQuery",
    "Judge",
    "KeptSchedule",
    "Lease",
    "MakeJobs",
    "Order",
    "Reader",
    "RecordQuery",
    "Render",
    "Rendering",
    "RoutingKey",
    "Settle",
    "Settled",
    "Store",
    "Submitted",
    "Tx",
    "Upkeep",
    "nothing_follows",
]
