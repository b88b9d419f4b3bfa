"""The attempts that tokens name, read for all commands of a batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.job import Outcome
from jobyard_server.store.tokens import token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.unit import Unit

HELD_COLUMNS: Final = (
    "a.subjob, a.number, a.session, a.principal, a.secret, a.outcome, a.answer, "
    "s.job, s.ordinal, s.queue, s.state, s.generation, s.attempts, s.total_at"
)
"""The fields of :class:`Held` in their order."""

JOBS_OF: Final = "SELECT s.job FROM given CROSS JOIN subjobs AS s WHERE s.id = given.subjob"
"""No subjob ever goes to another job, so this may be read before the job is locked."""

_LOCK: Final = f"SELECT 1 FROM jobs WHERE number IN ({JOBS_OF}) ORDER BY number FOR UPDATE"
_HELD: Final = (
    f"SELECT {HELD_COLUMNS} "
    "FROM given CROSS JOIN attempts AS a CROSS JOIN subjobs AS s "
    "WHERE a.subjob = given.subjob AND a.number = given.number AND s.id = a.subjob"
)


@dataclass(slots=True)
class Held:
    """An attempt and the subjob it is at."""

    subjob: int
    number: int
    session: int
    principal: str
    secret: str
    outcome: str
    answer: str
    job: int
    ordinal: int
    queue: str
    state: str
    generation: int
    attempts: int
    total_at: Micros | None

    @property
    def open(self) -> bool:
        """Whether the attempt has not ended."""
        return self.outcome == Outcome.OPEN


def lock_jobs_of(unit: Unit, subjobs: Iterable[int]) -> None:
    """Keep others from the jobs of subjobs. Whoever changes a subjob or an attempt has locked its job before."""
    if unit.sets.dialect.concurrent:
        named = [(subjob,) for subjob in sorted(set(subjobs))]
        unit.sets.among(("subjob",), named, _LOCK)


class Leases:
    """The attempts of a batch by token."""

    def __init__(self, unit: Unit, texts: Iterable[str], lock: Callable[[Iterable[int]], None] | None = None) -> None:
        """Read them; ``lock`` keeps others from the jobs of subjobs before, because they are going to change."""
        self._tokens = {text: token for text in texts if (token := token_of(text)) is not None}
        names = sorted({(token.subjob, token.attempt) for token in self._tokens.values()})
        if lock is not None:
            lock(subjob for subjob, _ in names)
        rows = unit.sets.among(("subjob", "number"), names, _HELD)
        self._held = {(row[0], row[1]): Held(*row) for row in rows}

    def of(self, text: str, principal: str) -> Held | None:
        """The attempt that a token of this principal proves, ended or not."""
        token = self._tokens.get(text)
        held = self._held.get((token.subjob, token.attempt)) if token is not None else None
        if token is None or held is None or held.principal != principal:
            return None
        return held if token.proves(held.secret) else None


def lease_of(unit: Unit, token: str, principal: str) -> Held | None:
    """The attempt that one token proves, whose job others are kept from."""
    return Leases(unit, [token], lambda subjobs: lock_jobs_of(unit, subjobs)).of(token, principal)
