"""The hot verb Acquire: lease what is ready, in the order of the queues, to workers that ask."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobyard_server.domain.catalog import QueueOrder
from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Outcome
from jobyard_server.domain.paging import ITEM_BYTES, MOST_BYTES, byte_size
from jobyard_server.domain.reason import Refusal
from jobyard_server.domain.state import State
from jobyard_server.store.ledger import CHANGING, HOT_COLUMNS, Entry, Ledger
from jobyard_server.store.lines import Line, Turn, limited_queues, read_lines
from jobyard_server.store.rooms import limited, use
from jobyard_server.store.rows import MICROS, NEW_JOB_COLUMNS, SUBJOB_COLUMNS, after, kept, time_limits
from jobyard_server.store.rows import job as job_of
from jobyard_server.store.rows import subjob as subjob_of
from jobyard_server.store.tables import READY
from jobyard_server.store.tokens import Token, digest_of
from jobyard_server.usecases.ports import Acquire, Acquired, Lease

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobyard_server.domain.job import Micros, Subjob
    from jobyard_server.store.sets import Sets
    from jobyard_server.store.unit import Unit

BESIDE_SECONDS: Final = 0.02
"""How soon to look again for what others had locked."""
KEPT_ATTEMPTS: Final = 100
"""Attempts that are kept of a subjob, the newest ones."""

_SUBJOBS: Final = (
    f"SELECT {', '.join('s.' + name for name in SUBJOB_COLUMNS)} "
    "FROM given CROSS JOIN subjobs AS s WHERE s.id = given.id"
)
_JOBS: Final = (
    f"SELECT {', '.join('j.' + name for name in NEW_JOB_COLUMNS)} "
    "FROM given CROSS JOIN jobs AS j WHERE j.number = given.number"
)
_SESSION_COLUMNS: Final = (*("id", "principal", "name", "worker", "created_at", "seen_at", "expires_at"),)
_SESSIONS: Final = (
    "SELECT s.principal, s.name, s.id FROM given CROSS JOIN sessions AS s "
    "WHERE s.principal = given.principal AND s.name = given.name"
)
_ATTEMPT_COLUMNS: Final = (
    *("subjob", "number", "session", "principal", "worker", "secret", "outcome", "answer"),
    *("reason", "message", "started_at", "log_size"),
)
_TAKEN: Final = (
    *("state", "reason", "message", "generation", "attempts", "attempt_no"),
    *("updated_at", "started_at", "limit_at", "silence_at"),
)
_AT: Final = {name: index for index, name in enumerate(SUBJOB_COLUMNS)}
_JOB_AT: Final = {name: index for index, name in enumerate(NEW_JOB_COLUMNS)}
_HOT_AT: Final = tuple(_JOB_AT[name] for name in HOT_COLUMNS)
_CHANGING_AT: Final = tuple(_JOB_AT[name] for name in CHANGING)

_TEXTS: Final = tuple(_AT[name] for name in ("payload", "result", "message", "key"))
_JOB_TEXTS: Final = tuple(_JOB_AT[name] for name in ("spec", "attributes", "labels", "message"))

_Name: TypeAlias = tuple[str, str]
_Pick: TypeAlias = tuple[int, Line, Turn]
"""The place of a command, and a turn that it gets."""
_Rows: TypeAlias = dict[int, list[Any]]


def acquire(unit: Unit, commands: Sequence[Acquire]) -> list[Acquired | Refusal]:
    """Lease ready subjobs. Commands that find nothing write nothing."""
    lines = read_lines(
        unit,
        [(queue, one.tenant, one.limit) for one in commands for queue in dict.fromkeys(one.queues)],
    )
    gone: set[int] = set()
    picks: list[_Pick] = []
    for index, command in enumerate(commands):
        keys = [(queue, command.tenant) for queue in dict.fromkeys(command.queues)]
        own = [lines[key] for key in keys if key in lines]
        picks += [(index, line, turn) for line, turn in _pick(own, command.limit, gone)]
    if not picks:
        return [Acquired(again_in=_again_in(unit, one, lines)) for one in commands]
    picks, jobs, subjobs = _read(unit, picks)
    served: dict[str, str] = {}
    taken: dict[str, dict[str, int]] = {}
    for _, line, turn in picks:
        served[line.queue.name] = turn.fair_key if line.queue.order is QueueOrder.FAIR else turn.tenant
        if limited(line.queue):
            counts = taken.setdefault(kept(line.queue.name), {})
            counts[turn.tenant] = counts.get(turn.tenant, 0) + 1
    _remember(unit, served, lines)
    if taken:
        use(unit, limited_queues(lines.values()), taken)
    return _lease(unit, commands, picks, jobs, subjobs)


def _again_in(unit: Unit, command: Acquire, lines: Mapping[tuple[str, str | None], Line]) -> float | None:
    """Seconds until a rate lets out more of what a command asked for."""
    own = [lines[queue, command.tenant] for queue in command.queues if (queue, command.tenant) in lines]
    found = [line.room.again_at for line in own if line.room.again_at is not None]
    if not found and unit.sets.dialect.concurrent and any(_others_lease(unit, line) for line in own):
        return BESIDE_SECONDS
    return max(0, min(found) - unit.now) / MICROS if found else None


def _others_lease(unit: Unit, line: Line) -> bool:
    """Whether something is ready that others had locked, and may leave."""
    free = line.room.left is None and line.room.tenants is None
    tenant = "" if line.tenant is None else " AND tenant = ?"
    scope = (kept(line.queue.name), *(() if line.tenant is None else (kept(line.tenant),)))
    return free and bool(unit.sets.all(f"SELECT 1 FROM subjobs WHERE queue = ? AND {READY}{tenant} LIMIT 1", scope))


def _pick(lines: list[Line], limit: int, gone: set[int]) -> list[tuple[Line, Turn]]:
    """The next turns over several lines: by queue priority, subjob priority, then first come."""
    heads = [
        (-line.queue.priority, -turn.priority, turn.job, turn.subjob, index, at)
        for index, line in enumerate(lines)
        for at, turn in enumerate(line.turns[:1])
    ]
    heapify(heads)
    picked: list[tuple[Line, Turn]] = []
    while heads and len(picked) < limit:
        *_, index, at = heads[0]
        line = lines[index]
        turn = line.turns[at]
        if line.room.left == 0:
            heappop(heads)
            continue
        if turn.subjob not in gone and line.room.takes(turn.tenant):
            gone.add(turn.subjob)
            picked.append((line, turn))
        if at + 1 < len(line.turns):
            following = line.turns[at + 1]
            place = (-line.queue.priority, -following.priority, following.job, following.subjob, index, at + 1)
            heapreplace(heads, place)
        else:
            heappop(heads)
    return picked


def _remember(unit: Unit, served: dict[str, str], lines: dict[tuple[str, str | None], Line]) -> None:
    """Keep whose turn it was where turns are taken."""
    turning = {
        line.queue.name
        for line in lines.values()
        if line.queue.order is QueueOrder.FAIR or line.room.tenants is not None
    }
    rows = [(kept(name), key) for name, key in sorted(served.items()) if name in turning]
    unit.sets.update("queues", ("name",), ("last_served",), rows)


def _read(unit: Unit, picks: list[_Pick]) -> tuple[list[_Pick], _Rows, _Rows]:
    """What may be leased of what was picked, and the rows of its jobs and subjobs."""
    sets = unit.sets
    ids = [(id_,) for id_ in sorted(turn.subjob for _, _, turn in picks)]
    subjobs = {row[0]: list(row) for row in sets.among(("id",), ids, _SUBJOBS) if _ready(row)}
    # Their jobs are locked by now; before, others may have taken them.
    picks = [pick for pick in picks if pick[2].subjob in subjobs]
    numbers = [(number,) for number in sorted({turn.job for _, _, turn in picks})]
    jobs = {row[0]: list(row) for row in sets.among(("number",), numbers, _JOBS)}
    fitting = _fitting(picks, jobs, subjobs)
    if len(fitting) < len(picks):
        # Who stood beside has looked already, and got nothing of what is left.
        unit.woken.update(kept(line.queue.name) for _, line, _ in picks)
        subjobs = {turn.subjob: subjobs[turn.subjob] for _, _, turn in fitting}
        jobs = {turn.job: jobs[turn.job] for _, _, turn in fitting}
    return fitting, jobs, subjobs


def _fitting(picks: list[_Pick], jobs: _Rows, subjobs: _Rows) -> list[_Pick]:
    """Of what each command is to get as much as one answer carries, and always the first."""
    sizes: dict[int, int] = {}
    fitting: list[_Pick] = []
    for pick in picks:
        index, _, turn = pick
        job, subjob, before = jobs[turn.job], subjobs[turn.subjob], sizes.get(index, 0)
        texts = [*[subjob[at] for at in _TEXTS], *[job[at] for at in _JOB_TEXTS]]
        # What comes behind one that is left is left as well.
        size = sizes[index] = before + ITEM_BYTES + sum(map(byte_size, texts))
        if not before or size <= MOST_BYTES:
            fitting.append(pick)
    return fitting


def _lease(
    unit: Unit, commands: Sequence[Acquire], picks: list[_Pick], jobs: _Rows, subjobs: _Rows
) -> list[Acquired | Refusal]:
    """Write the leases of all commands."""
    sets = unit.sets
    sessions = _prolong(unit, commands, sorted({index for index, _, _ in picks}))
    ledger = Ledger(unit)
    ledger.entries = {number: Entry(*[row[at] for at in _HOT_AT]) for number, row in jobs.items()}
    attempts: list[tuple[Any, ...]] = []
    tokens: list[Token] = []
    starters: dict[int, Acquire] = {}
    for index, _, turn in picks:
        command = commands[index]
        token = _start(unit, ledger, subjobs[turn.subjob], command)
        tokens.append(token)
        attempts.append(
            (
                *(token.subjob, token.attempt, sessions[command.principal, command.session]),
                *(kept(command.principal), kept(command.worker), digest_of(token.secret)),
                *(Outcome.OPEN.value, "", "", "", unit.now, 0),
            )
        )
        starters[turn.job] = command
    for number, entry in ledger.entries.items():
        starter = starters[number]
        ledger.fold(entry, actor=kept(starter.principal), request_id=kept(starter.request_id))
    taken = [(id_, *(row[at] for at in _TAKEN_AT)) for id_, row in subjobs.items()]
    sets.update("subjobs", ("id",), _TAKEN, taken)
    sets.insert("attempts", _ATTEMPT_COLUMNS, attempts)
    _prune(sets, tokens)
    ledger.close()
    for number, entry in ledger.entries.items():
        for at, value in zip(_CHANGING_AT, entry.changing(), strict=True):
            jobs[number][at] = value
    return _answers(unit, commands, list(zip(picks, tokens, strict=True)), jobs, subjobs)


def _answers(
    unit: Unit,
    commands: Sequence[Acquire],
    given: Sequence[tuple[_Pick, Token]],
    jobs: Mapping[int, Sequence[Any]],
    subjobs: Mapping[int, Sequence[Any]],
) -> list[Acquired | Refusal]:
    """What each command gets, of the rows as they are now."""
    seen = {number: job_of(row) for number, row in jobs.items()}
    leases: list[list[Lease]] = [[] for _ in commands]
    for (index, _, turn), token in given:
        subjob, ends = subjob_of(subjobs[turn.subjob]), unit.now + _life(commands[index])
        left = _left(subjob, unit.now)
        leases[index].append(Lease(token.text(), seen[turn.job], subjob, token.attempt, ends, left))
    # Who got nothing while others got something may be standing beside others, who were faster.
    again_in = BESIDE_SECONDS if unit.sets.dialect.concurrent else None
    return [Acquired(tuple(own), None if own else again_in) for own in leases]


def _ready(row: Sequence[Any]) -> bool:
    return row[_AT["state"]] == State.PENDING and row[_AT["wake_at"]] is None


def _left(subjob: Subjob, now: Micros) -> float | None:
    """Seconds an attempt that begins now may take."""
    ends = [at for at in (subjob.limit_at, subjob.total_at) if at is not None]
    return max(0, min(ends) - now) / MICROS if ends else None


def _prune(sets: Sets, tokens: list[Token]) -> None:
    """Drop the attempt that is one too many for its subjob, and its log."""
    old = [(token.subjob, token.attempt - KEPT_ATTEMPTS) for token in tokens if token.attempt > KEPT_ATTEMPTS]
    sets.among(("subjob", "attempt"), old, "DELETE FROM attempts WHERE (subjob, number) IN (SELECT * FROM given)")
    sets.among(("subjob", "attempt"), old, "DELETE FROM log_chunks WHERE (subjob, attempt) IN (SELECT * FROM given)")


def _start(unit: Unit, ledger: Ledger, row: list[Any], command: Acquire) -> Token:
    """Start an attempt at a subjob."""
    entry = ledger.entries[row[_AT["job"]]]
    row[_AT["state"]] = State.RUNNING.value
    row[_AT["reason"]] = row[_AT["message"]] = ""
    row[_AT["generation"]] = entry.generation
    row[_AT["attempts"]] += 1
    row[_AT["attempt_no"]] += 1
    row[_AT["updated_at"]] = unit.now
    row[_AT["started_at"]] = row[_AT["started_at"]] or unit.now
    limits = time_limits(entry.limits)
    row[_AT["limit_at"]] = after(unit.now, limits.attempt)
    row[_AT["silence_at"]] = after(unit.now, limits.heartbeat)
    ledger.move(entry, State.PENDING, State.RUNNING, current=True)
    ledger.tell(
        entry,
        EventType.ATTEMPT_STARTED,
        subjob=row[_AT["ordinal"]],
        subjob_state=State.RUNNING,
        attempt=row[_AT["attempt_no"]],
        actor=kept(command.principal),
        request_id=kept(command.request_id),
    )
    return Token(row[0], row[_AT["attempt_no"]], unit.new_secret())


def _prolong(unit: Unit, commands: Sequence[Acquire], indexes: Sequence[int]) -> dict[_Name, int]:
    """The sessions that leases go to, made or prolonged; their numbers."""
    asked = {(commands[index].principal, commands[index].session): commands[index] for index in indexes}
    names = [(kept(principal), kept(name)) for principal, name in asked]
    rows = unit.sets.among(("principal", "name"), sorted(names), _SESSIONS)
    known = {(principal, name): id_ for principal, name, id_ in rows}
    fresh = sum(name not in known for name in names)
    (first,) = unit.numbers(sessions=fresh)
    sessions: dict[_Name, int] = {}
    written = []
    for name, (own, command) in zip(names, asked.items(), strict=True):
        id_ = known.get(name, 0)
        if not id_:
            id_, first = first, first + 1
        sessions[own] = id_
        expires_at = unit.now + _life(command)
        written.append((id_, *name, kept(command.worker), unit.now, unit.now, expires_at))
    unit.sets.insert("sessions", _SESSION_COLUMNS, written, _SESSION_KNOWN)
    return sessions


_TAKEN_AT: Final = tuple(_AT[name] for name in _TAKEN)
_SESSION_KNOWN: Final = (
    "ON CONFLICT (id) DO UPDATE SET worker = excluded.worker, "
    "seen_at = excluded.seen_at, expires_at = excluded.expires_at"
)


def _life(command: Acquire) -> Micros:
    return round(command.session_seconds * MICROS)
