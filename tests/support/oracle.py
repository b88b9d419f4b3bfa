"""Folds the log of events after faults, and compares it with what the tables say."""

from jobyard_server.store.checking import MISPLACED
from support.databases import rows_of

TERMINAL = ("SUCCEEDED", "FAILED", "PARTIALLY_FAILED", "CANCELLED")
COUNTED = ("pending", "running", "suspended", "cancelling", "succeeded", "failed", "partially_failed", "cancelled")


def check_books(url: str) -> int:
    """Check every job of a database whose jobs are run once and whose events are all kept; how many there are."""
    told: dict[object, list[tuple[int, int, str, str]]] = {}
    events = rows_of(url, "SELECT job, position, job_seq, type, state FROM events ORDER BY position")
    for job, position, sequence, type_, state in events:
        told.setdefault(job, []).append((position, sequence, type_, state))
    counts: dict[object, dict[str, int]] = {}
    for job, state, count in rows_of(url, "SELECT job, state, count(*) FROM subjobs GROUP BY job, state"):
        counts.setdefault(job, {})[str(state).lower()] = int(str(count))
    columns = ", ".join(f"n_{name}" for name in COUNTED)
    jobs = rows_of(url, f"SELECT number, state, last_event, {columns} FROM jobs")
    for number, state, last_event, *counters in jobs:
        log = told[number]
        # In the order of positions the events of a job have no gap, and none is twice there.
        assert [sequence for _, sequence, _, _ in log] == list(range(1, int(str(last_event)) + 1)), (number, log)
        assert log[-1][3] == state, (number, state, log)
        ends = [one for one in log if one[2] in ("JOB_CHANGED", "JOB_SUBMITTED") and one[3] in TERMINAL]
        assert len(ends) == (state in TERMINAL), (number, state, log)
        own = counts.get(number, {})
        assert counters == [own.get(name, 0) for name in COUNTED], (number, counters, own)
    orphans = rows_of(url, "SELECT count(*) FROM subjobs WHERE job NOT IN (SELECT number FROM jobs)")
    assert orphans == [(0,)]
    assert rows_of(url, MISPLACED) == []
    return len(jobs)


def check_attempts(url: str) -> None:
    """No subjob has two open attempts, and every running one has one."""
    doubled = "SELECT subjob FROM attempts WHERE outcome = 'OPEN' GROUP BY subjob HAVING count(*) > 1"
    assert rows_of(url, doubled) == []
    idle = (
        "SELECT id FROM subjobs AS s WHERE state = 'RUNNING' AND NOT EXISTS "
        "(SELECT 1 FROM attempts AS a WHERE a.subjob = s.id AND a.outcome = 'OPEN')"
    )
    assert rows_of(url, idle) == []
