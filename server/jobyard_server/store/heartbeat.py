"""The hot verb Heartbeat: prolong sessions, and tell workers what to do with the leases they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, Refusal
from jobyard_server.domain.state import State
from jobyard_server.store.expiry import settled_down, take_back
from jobyard_server.store.leases import HELD_COLUMNS, Leases, lock_jobs_of
from jobyard_server.store.rows import MICROS, after, kept, time_limits
from jobyard_server.store.tables import OPEN
from jobyard_server.usecases.ports import Beaten, Directive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from jobyard_server.store.leases import Held
    from jobyard_server.store.unit import Unit
    from jobyard_server.usecases.ports import Heartbeat

_SESSIONS: Final = (
    "SELECT s.principal, s.name, s.id FROM given CROSS JOIN sessions AS s "
    "WHERE s.principal = given.principal AND s.name = given.name"
)
_TOLD: Final = frozenset({Directive.GO_ON, Directive.SUSPEND})
_SPECIAL: Final = (
    "SELECT jobs.number, jobs.suspended, jobs.limits FROM given CROSS JOIN jobs "
    "WHERE jobs.number = given.number AND (jobs.suspended OR jobs.limits <> '')"
)
_OPEN: Final = (
    "SELECT a.subjob FROM given CROSS JOIN attempts AS a "
    f"WHERE a.subjob = given.subjob AND a.number = given.number AND a.{OPEN}"
)
_OLD: Final = (
    f"SELECT {HELD_COLUMNS} "
    "FROM given CROSS JOIN attempts AS a CROSS JOIN subjobs AS s "
    f"WHERE a.session = given.session AND a.{OPEN} AND a.started_at < given.before AND s.id = a.subjob"
)


def heartbeat(unit: Unit, commands: Sequence[Heartbeat]) -> list[Beaten | Refusal]:
    """Prolong every session that is known."""
    names = [(kept(one.principal), kept(one.session)) for one in commands]
    rows = unit.sets.among(("principal", "name"), sorted(set(names)), _SESSIONS)
    sessions = {(principal, name): id_ for principal, name, id_ in rows}
    leases = Leases(unit, [token for one in commands for token in one.tokens])
    held = [[leases.of(token, kept(one.principal)) for token in one.tokens] for one in commands]
    jobs = {lease.job for own in held for lease in own if lease is not None and lease.open}
    found = unit.sets.among(("number",), [(number,) for number in sorted(jobs)], _SPECIAL)
    suspended = {number for number, held_back, _ in found if held_back}
    patience = {number: time_limits(limits).heartbeat for number, _, limits in found}
    heard: dict[int, tuple[int, int | None]] = {}
    beats: dict[int, tuple[int, int, int]] = {}
    words: dict[int, tuple[int, str, int]] = {}
    answers: list[Beaten | Refusal] = []
    for name, command, own in zip(names, commands, held, strict=True):
        id_ = sessions.get(name)
        if id_ is None:
            message = "the session is not known: acquire with it first"
            answers.append(Refusal(Reason.SESSION_UNKNOWN, message))
            continue
        expires_at = unit.now + round(command.session_seconds * MICROS)
        beats[id_] = (id_, unit.now, expires_at)
        directives = tuple(_directive(lease, id_, suspended) for lease in own)
        answers.append(Beaten(directives, expires_at))
        for token, lease, directive in zip(command.tokens, own, directives, strict=True):
            if lease and directive in _TOLD and patience.get(lease.job) is not None:
                heard[lease.subjob] = (lease.subjob, after(unit.now, patience[lease.job]))
            # What is being cancelled keeps the time at which that began; see clearing.force_cancels.
            if lease and directive in _TOLD and token in command.messages:
                words[lease.subjob] = (lease.subjob, kept(command.messages[token]), unit.now)
    known = {lease.subjob: lease for own in held for lease in own if lease}
    still = _still_held(unit, heard.keys() | words.keys(), known)
    beaten = [beats[id_] for id_ in sorted(beats)]
    unit.sets.update("sessions", ("id",), ("seen_at", "expires_at"), beaten)
    unit.sets.update("subjobs", ("id",), ("silence_at",), [heard[id_] for id_ in sorted(heard) if id_ in still])
    said = [words[id_] for id_ in sorted(words) if id_ in still]
    unit.sets.update("subjobs", ("id",), ("message", "updated_at"), said)
    _take_back_forgotten(unit, beats, {(lease.subjob, lease.number) for own in held for lease in own if lease})
    return answers


def _still_held(unit: Unit, subjobs: AbstractSet[int], leases: Mapping[int, Held]) -> AbstractSet[int]:
    """Those of subjobs that are to be written to whose leases others have not ended meanwhile."""
    if not subjobs or not unit.sets.dialect.concurrent:
        return subjobs
    lock_jobs_of(unit, subjobs)
    names = [(subjob, leases[subjob].number) for subjob in sorted(subjobs)]
    return {subjob for (subjob,) in unit.sets.among(("subjob", "number"), names, _OPEN)}


def _take_back_forgotten(unit: Unit, beats: dict[int, tuple[int, int, int]], told: set[tuple[int, int]]) -> None:
    """Take back what a living worker does not know it holds: the answer that gave it the lease got lost.

    A session's life is time enough for an answer to arrive, and for the heartbeat that follows it.
    """
    before = [(id_, unit.now - (expires_at - unit.now)) for id_, _, expires_at in beats.values()]
    old = settled_down(unit, lambda: unit.sets.among(("session", "before"), sorted(before), _OLD), told)
    forgotten = [lease for lease in old if (lease.subjob, lease.number) not in told]
    if forgotten:
        take_back(unit, forgotten)


def _directive(lease: Held | None, session: int, suspended: set[int]) -> Directive:
    if lease is None or not lease.open or lease.session != session:
        return Directive.LOST
    if lease.state == State.CANCELLING:
        return Directive.CANCEL
    return Directive.SUSPEND if lease.job in suspended else Directive.GO_ON
