"""When the workers that run jobs were last heard of, and until when they need not be heard of again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobyard_server.store.tables import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.sets import Sets

_HEARD: Final = (
    "SELECT s.job, max(sessions.seen_at), max(sessions.expires_at) "
    "FROM given CROSS JOIN subjobs AS s CROSS JOIN attempts AS a CROSS JOIN sessions "
    f"WHERE s.job = given.job AND a.subjob = s.id AND a.number = s.attempt_no AND a.{OPEN} AND sessions.id = a.session "
    "GROUP BY s.job"
)


def heard(sets: Sets, jobs: Iterable[int]) -> dict[int, tuple[Micros, Micros]]:
    """For those of some jobs that workers run: when one was last heard of, and until when its lease holds."""
    rows = sets.among(("job",), [(number,) for number in sorted(set(jobs))], _HEARD)
    return {job: (seen_at, expires_at) for job, seen_at, expires_at in rows}
