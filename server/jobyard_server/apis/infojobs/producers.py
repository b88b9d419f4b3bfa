"""Producers come, go, and are looked after; each of it in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from jobyard_server.apis.infojobs.lookup import MOST, Locked
from jobyard_server.apis.infojobs.nouns import API, PRODUCER, QUEUE, SERVICE, SUPPLY, Producer, heard_of, supply_id
from jobyard_server.apis.infojobs.owing import SUPERVISE, owe_supervision
from jobyard_server.apis.infojobs.spreading import ALIVE, LEFT, REGISTERED, Spread, spread
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import NewExecutor, Reach
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Tx

EXACT_START: Final = "ics-exact-start"
"""Profile: a producer that registers, or turns out to be alive, gets the jobs of exactly its types, as of ICS. Jobs of
older versions that it stands in for reach it only when they are put."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """How producers are looked after."""

    period: float
    """Seconds."""
    misses: int
    """So many in a row, and a producer is gone."""
    exact: bool
    """As of :data:`EXACT_START`."""

    @classmethod
    def of(cls, options: Options) -> Self:
        """As the settings have it."""
        return cls(options.supervision_seconds, options.supervision_misses, EXACT_START in options.profiles)


def register(tx: Tx, tenant: str, actor: str, new: Producer, rules: Supervision) -> bool:
    """Register a producer, or register it anew; whether it is new. Its jobs are posted to it."""
    found = Locked(tx, tenant)
    for type_ in new.types:
        if tx.definition(API, tenant, type_) is None:
            raise refuse(
                Reason.INFO_TYPE_REFERENCE_UNKNOWN, f"There is no information type {type_!r}.", info_type=type_
            )
    before = found.producer(new.id)
    dropped = set(before.types if before else ()) - set(new.types)
    was_covered = found.covered(before.types) if before else []
    new = replace(new, registration=tx.new_uid(), misses=0)
    _keep(tx, tenant, actor, new)
    for type_ in dropped:
        tx.delete_record(API, tenant, SUPPLY, supply_id(type_, new.id))
    for type_ in new.types:
        tx.put_record(API, tenant, SUPPLY, supply_id(type_, new.id), "{}", by=actor)
    covered = found.covered(new.types)
    lost = tuple(type_ for type_ in was_covered if type_ not in covered)
    spread(tx, tenant, Spread(LEFT, lost, new.id))
    given = new.types if rules.exact else tuple(covered)
    spread(tx, tenant, Spread(REGISTERED, given, new.id, new.registration))
    owe_supervision(tx, tenant, new, tx.now + round(rules.period * 1_000_000))
    return before is None


def remove(tx: Tx, tenant: str, id_: str) -> bool:
    """Remove a producer; whether it was there. Its jobs stay, and their consumers are told."""
    found = Locked(tx, tenant)
    producer = found.producer(id_)
    if producer is None:
        return False
    covered = found.covered(producer.types)
    drop(tx, tenant, producer)
    spread(tx, tenant, Spread(LEFT, tuple(covered), id_))
    return True


def drop(tx: Tx, tenant: str, producer: Producer) -> None:
    """Remove what is kept of a producer itself."""
    tx.delete_executor(API, tenant, producer.id)
    for type_ in producer.types:
        tx.delete_record(API, tenant, SUPPLY, supply_id(type_, producer.id))
    tx.withdraw(API, tenant, f"supervision\n{producer.id}", frozenset({SUPERVISE}))


def look_after(tx: Tx, tenant: str, producer: Producer, rules: Supervision, *, answered: bool | None) -> None:
    """A producer was looked after; ``answered``: ``None`` for one that is not called."""
    misses = rules.misses
    if answered is None:
        answered = heard_of(tx.record(API, tenant, SERVICE, producer.id), tx.now)
        misses = 0
    missed = 0 if answered else producer.misses + 1
    if misses and missed >= misses:
        remove(tx, tenant, producer.id)
        return
    if missed != producer.misses and producer.check_url:
        _keep(tx, tenant, "", replace(producer, misses=missed))
    if answered:
        given = producer.types if rules.exact else tuple(Locked(tx, tenant).covered(producer.types))
        spread(tx, tenant, Spread(ALIVE, given, producer.id, producer.registration))
    owe_supervision(tx, tenant, producer, tx.now + round(rules.period * 1_000_000))


def look_after_all(tx: Tx, tenant: str, ids: list[str]) -> None:
    """Look after producers at once, in place of the time that was meant."""
    found = Locked(tx, tenant)
    for id_ in ids[:MOST]:
        producer = found.producer(id_)
        if producer is not None:
            owe_supervision(tx, tenant, producer, None)


def _keep(tx: Tx, tenant: str, actor: str, producer: Producer) -> None:
    tx.put_executor(
        NewExecutor(
            api=API,
            tenant=tenant,
            actor=actor,
            id=producer.id,
            kind=PRODUCER,
            reach=Reach.PUSH,
            queue=QUEUE,
            spec=producer.spec,
            attributes={"misses": producer.misses},
        )
    )
