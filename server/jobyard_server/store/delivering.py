"""The hot verbs of deliveries: claim what is due, write down how it went; and what time does to them.

A claim goes by destination, those due first first, and takes from each no more than it may have in flight. A
destination whose circuit is open is not due before its time, and then for one delivery only, which probes it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.domain.delivery import (
    CIRCUIT_FAILURES,
    DeliveryState,
    Verdict,
    circuit_after,
    healthy,
)
from jobyard_server.store.owing import DELIVERIES, keep_timetable, make_timetables, promote
from jobyard_server.store.rows import MICROS, kept
from jobyard_server.store.rows_deliveries import DELIVERY_COLUMNS, delivery
from jobyard_server.store.tables_deliveries import READY, SENDING
from jobyard_server.store.transaction import Transaction
from jobyard_server.usecases.ports import nothing_follows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.delivery import Delivery
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import ClaimDeliveries, DeliveryResult

STEP: Final = 500
DESTINATIONS: Final = 64
"""Most destinations that one claim serves."""
MAX_ERROR: Final = 1024

_COLUMNS: Final = ", ".join(f"deliveries.{name}" for name in DELIVERY_COLUMNS)
_DUE: Final = (
    "SELECT origin, failures, "
    f"(SELECT count(*) FROM deliveries WHERE destination = origin AND {SENDING}) "
    f"FROM destinations WHERE due_at <= ? ORDER BY due_at LIMIT {DESTINATIONS:d}"
)
_FULL: Final = "UPDATE destinations SET due_at = NULL WHERE origin IN (SELECT origin FROM given) RETURNING 1"
_CLAIM: Final = (
    "UPDATE deliveries SET state = 'SENDING', attempts = attempts + 1, claimed_until = given.until, "
    f"updated_at = given.now FROM given WHERE deliveries.id = given.id RETURNING {_COLUMNS}"
)
_HOLD: Final = (
    f"UPDATE deliveries SET claimed_until = given.until FROM given WHERE deliveries.id = given.id AND {SENDING} "
    "RETURNING 1"
)
_CLAIMED: Final = f"SELECT {_COLUMNS} FROM given CROSS JOIN deliveries WHERE deliveries.id = given.id AND {SENDING}"
_CIRCUITS: Final = (
    "SELECT destinations.origin, failures, blocked_until FROM given CROSS JOIN destinations "
    "WHERE destinations.origin = given.origin"
)
_MARKED: Final = (*("state", "next_at", "claimed_until", "last_status", "last_error", "credential", "updated_at"),)
_REMOVE: Final = "DELETE FROM deliveries WHERE id IN (SELECT id FROM given) RETURNING 1"
_RELEASE: Final = (
    "UPDATE deliveries SET state = 'READY', claimed_until = NULL, next_at = ? "
    f"WHERE id IN (SELECT id FROM deliveries WHERE claimed_until <= ? AND {SENDING} LIMIT {STEP:d}) AND {SENDING} "
    "RETURNING destination"
)
_FORGET: Final = (
    "DELETE FROM deliveries WHERE id IN "
    f"(SELECT id FROM deliveries WHERE state = ? AND updated_at <= ? LIMIT {STEP:d}) AND state IN ('DELIVERED', 'DEAD')"
)
_FORGET_DESTINATIONS: Final = (
    "DELETE FROM destinations WHERE origin IN (SELECT origin FROM destinations WHERE updated_at <= ? "
    "AND due_at IS NULL AND NOT EXISTS (SELECT 1 FROM deliveries WHERE destination = origin "
    f"AND state IN ('WAITING', 'READY', 'SENDING')) LIMIT {STEP:d}) AND due_at IS NULL"
)


def claim(unit: Unit, commands: Sequence[ClaimDeliveries]) -> list[list[Delivery]]:
    """Claim what is due, for each that asks."""
    return [_claim(unit, command) for command in commands]


def _claim(unit: Unit, command: ClaimDeliveries) -> list[Delivery]:
    """Take from each destination that is due what it may have, in order, as long as there is room."""
    taken: list[int] = []
    full: list[str] = []
    looked_at: list[str] = []
    make_timetables(unit)
    due = unit.sets.dialect.locking(_DUE, "destinations", skip=True)
    for origin, failures, sending in unit.sets.all(due, (unit.now,)):
        left = command.limit - len(taken)
        if left <= 0:
            break
        room = (1 if failures >= CIRCUIT_FAILURES else command.in_flight) - sending
        numbers = _due_at(unit, origin, min(room, left)) if room > 0 else []
        taken += numbers
        # What is full is due again when something of it ends, which makes its timetable anew.
        (full if len(numbers) >= room else looked_at).append(origin)
    until = unit.now + round(command.claim_seconds * MICROS)
    rows = unit.sets.among(("id", "until", "now"), [(number, until, unit.now) for number in taken], _CLAIM)
    keep_timetable(unit, looked_at)
    unit.sets.among(("origin",), [(origin,) for origin in full], _FULL)
    place = {number: index for index, number in enumerate(taken)}
    return [delivery(row) for row in sorted(rows, key=lambda row: place[row[0]])]


def _due_at(unit: Unit, destination: str, limit: int) -> list[int]:
    sql = f"SELECT id FROM deliveries WHERE destination = ? AND {READY} AND next_at <= ? ORDER BY next_at, id LIMIT ?"
    return [number for (number,) in unit.sets.all(sql, (destination, unit.now, limit))]


def hold(unit: Unit, numbers: Sequence[int], seconds: float) -> None:
    """Prolong claims."""
    until = unit.now + round(seconds * MICROS)
    unit.sets.among(("id", "until"), [(number, until) for number in numbers], _HOLD)


def settle_deliveries(unit: Unit, results: Sequence[DeliveryResult]) -> list[Delivery | None]:
    """Write down how attempts went; ``None`` for one whose claim was lost."""
    numbers = [(number,) for number in sorted({result.number for result in results})]
    rows = unit.sets.among(("id",), numbers, unit.sets.dialect.locking(_CLAIMED, "deliveries"))
    claimed = {row[0]: delivery(row) for row in rows}
    answers: list[Delivery | None] = []
    settled: list[tuple[Delivery, DeliveryResult]] = []
    credentials = {row.number: row.credential for row in claimed.values()}
    for result in results:
        # Taken out of the books, so that the same result sent twice in one batch counts once.
        found = claimed.pop(result.number, None)
        if found is None or found.attempts != result.attempt:
            answers.append(None)
            continue
        after = _after(unit, found, result)
        answers.append(after)
        settled.append((after, result))
    _mark(unit, [one for one in settled if not _has_an_end(*one)])
    _judge_destinations(unit, settled)
    for after, result in settled:
        if _has_an_end(after, result):
            # Until then it is being sent, also to what follows from the others: what it meant is not written down yet.
            _mark(unit, [(after, result)])
            transaction = Transaction(unit)
            # What follows may owe a call that shows the same credential.
            result.settled(transaction, replace(after, credential=credentials[after.number]), result.answer)
            transaction.finish()
    ended = [after for after, _ in settled if after.state is not DeliveryState.READY]
    promote(unit, {(one.api, kept(one.tenant), kept(one.lane), one.destination) for one in ended})
    keep_timetable(unit, {after.destination for after, _ in settled})
    return answers


def _after(unit: Unit, found: Delivery, result: DeliveryResult) -> Delivery:
    """The delivery as the result leaves it."""
    again = result.verdict is Verdict.RETRY and result.may_retry
    done = result.verdict is Verdict.DONE
    state = DeliveryState.READY if again else DeliveryState.DELIVERED if done else DeliveryState.DEAD
    return replace(
        found,
        state=state,
        next_at=unit.now + round(result.retry_after * MICROS) if again else found.next_at,
        last_status=result.answer.status,
        last_error="" if done else result.answer.message[:MAX_ERROR],
        credential=found.credential if again else "",
        updated_at=unit.now,
    )


def _has_an_end(after: Delivery, result: DeliveryResult) -> bool:
    """Whether something follows from how a delivery ended."""
    return after.state in {DeliveryState.DELIVERED, DeliveryState.DEAD} and result.settled is not nothing_follows


def _mark(unit: Unit, settled: Sequence[tuple[Delivery, DeliveryResult]]) -> None:
    rows: list[tuple[Any, ...]] = []
    gone: list[tuple[int]] = []
    for after, result in settled:
        if after.state is DeliveryState.DEAD and not result.keep_dead:
            gone.append((after.number,))
            continue
        rows.append(
            (
                *(after.number, after.state.value, after.next_at, None, after.last_status),
                *(kept(after.last_error), after.credential, unit.now),
            )
        )
    unit.sets.update("deliveries", ("id",), _MARKED, rows)
    unit.sets.among(("id",), gone, _REMOVE)


def _judge_destinations(unit: Unit, settled: Sequence[tuple[Delivery, DeliveryResult]]) -> None:
    """Open and close circuits by the answers, in their order."""
    places = sorted({(after.destination,) for after, _ in settled})
    known = {row[0]: (row[1], row[2]) for row in unit.sets.among(("origin",), places, _CIRCUITS)}
    before = dict(known)
    for after, result in settled:
        well = healthy(result.answer, result.verdict)
        if well is None or after.destination not in known:
            continue
        failures, blocked = known[after.destination]
        circuit = circuit_after(failures, well, random.random())  # noqa: S311 - jitter
        if circuit.blocked_for:
            blocked = unit.now + round(circuit.blocked_for * MICROS)
        known[after.destination] = circuit.failures, blocked if circuit.failures else None
    rows = [(place, *facts, unit.now) for place, facts in sorted(known.items()) if facts != before[place]]
    unit.sets.update("destinations", ("origin",), ("failures", "blocked_until", "updated_at"), rows)


def release(unit: Unit) -> int:
    """Make ready again what was claimed by a process that did not finish it; how many."""
    places = [place for (place,) in unit.sets.all(_RELEASE, (unit.now, unit.now))]
    keep_timetable(unit, places)
    if places:
        unit.woken.add(DELIVERIES)
    return len(places)


def forget(unit: Unit, done: int, dead: int) -> int:
    """Forget a step of the deliveries that ended so many microseconds ago, and of idle destinations; how many."""
    ended = unit.sets.run(_FORGET, (DeliveryState.DELIVERED.value, unit.now - done))
    given_up = unit.sets.run(_FORGET, (DeliveryState.DEAD.value, unit.now - dead))
    return ended + given_up + unit.sets.run(_FORGET_DESTINATIONS, (unit.now - done,))
