"""The tables on the hot path: jobs, subjobs, attempts, sessions, events and the keys of requests.

Instants are microseconds since the epoch. Free JSON is text, kept byte for byte. Indexes that leasing walks hold
only rows that are ready or running, so their cost does not grow with what has finished.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from jobyard_server.store.columns import (
    BIG,
    Row,
    big,
    numbered,
    optional_big,
    optional_text,
    part_of_key,
    partial,
    text,
)

READY = "state = 'PENDING' AND wake_at IS NULL"
"""A subjob that a worker may take. One that waits for its next attempt has ``wake_at`` set until it is due."""

READY_IN_LINE = "s.state = 'PENDING' AND s.wake_at IS NULL"
"""The same where a job stands beside it."""

RUNNING = "state IN ('RUNNING', 'CANCELLING')"
"""A subjob that occupies a worker."""

CANCELLING = "state = 'CANCELLING'"
"""A subjob whose worker has been told to stop."""

LIMITED = "limit_at IS NOT NULL AND state IN ('PENDING', 'RUNNING')"
"""A subjob that has until ``limit_at`` to be started, or to end its attempt."""

HEARD = "silence_at IS NOT NULL AND state = 'RUNNING'"
"""A subjob whose worker has to be heard of until ``silence_at``."""

LIMITED_IN_ALL = "total_at IS NOT NULL AND finished_at IS NULL"
"""A subjob that has until ``total_at`` to end for good."""

OPEN = "outcome = 'OPEN'"
"""An attempt that has not ended."""


_FIRST: Final = (sql("priority DESC"), "job", "id")


class JobRow(Row, table=True):
    """A job: what was asked, a counter per state of its subjobs, and the state folded from them.

    No index is over a column that the work on a job changes; see :mod:`jobyard_server.store.standings`.
    """

    __tablename__ = "jobs"
    __table_args__: ClassVar[Any] = (
        partial(
            "uq_jobs_external_id",
            *("api", "tenant", "external_id"),
            where="external_id IS NOT NULL",
            unique=True,
        ),
        Index("uq_jobs_uid", "uid", unique=True),
        Index("ix_jobs_tenant", "tenant", "number"),
        Index("ix_jobs_created_at", "tenant", "created_at", "number"),
        partial("ix_jobs_parent", "parent", "number", where="parent IS NOT NULL"),
        # Jobs of one page are leased together: each finds room on it for another version, which no index hears of.
        {"sqlite_autoincrement": True, "postgresql_with": {"fillfactor": 50}},
    )

    number: int = numbered()
    uid: str = text()
    api: str = text()
    tenant: str = text()
    external_id: str | None = optional_text()
    mode: str = text()
    state: str = text()
    state_word: str = text()
    reason: str = text()
    message: str = text()
    cancel_requested: bool
    suspended: bool
    split_complete: bool
    exhausted: bool
    running_now: int
    finished_as: str | None = optional_text()
    n_pending: int
    n_running: int
    n_suspended: int
    n_cancelling: int
    n_succeeded: int
    n_failed: int
    n_partially_failed: int
    n_cancelled: int
    generation: int
    revision: int = big()
    definition: str = text()
    definition_version: int
    queue: str = text()
    priority: int
    fair_key: str = text()
    display_name: str = text()
    spec: str = text()
    attributes: str = text()
    """JSON object; the attributes an API declares have an index each over an expression on this column."""
    labels: str = text()
    """JSON object of strings."""
    resumable: bool
    """Whether a FAILED end may be resumed."""
    retry: str = text()
    """The retry policy as JSON; empty for the default one."""
    limits: str = text()
    """The time limits as JSON; empty for none."""
    on_lease_loss: str = text()
    created_by: str = text()
    created_at: int = big()
    updated_at: int = big()
    started_at: int | None = optional_big()
    finished_at: int | None = optional_big()
    expires_after: int | None = optional_big()
    """Microseconds after its end when it is deleted."""
    expires_at: int | None = optional_big()
    last_event: int = big()
    parent: int | None = optional_big()
    """Number of the scheduled job that made it."""
    due_at: int | None = optional_big()
    """The due time it was made for."""


class StandingRow(Row, table=True):
    """Where a job stands, of jobs that are looked for by it; APIs have an index each over what they list jobs by."""

    __tablename__ = "standings"
    __table_args__: ClassVar[Any] = (
        partial("ix_standings_live_parent", "live_parent", "number", where="live_parent IS NOT NULL"),
        partial("ix_standings_removal_at", "removal_at", where="removal_at IS NOT NULL"),
    )

    number: int = part_of_key(BIG)
    """The number of the job."""
    api: str = text()
    tenant: str = text()
    state_word: str = text()
    updated_at: int = big()
    live_parent: int | None = optional_big()
    """Number of the scheduled job that made it, as long as it has not ended."""
    removal_at: int | None = optional_big()


class SubjobRow(Row, table=True):
    """The piece of a job given to one executor."""

    __tablename__ = "subjobs"
    __table_args__: ClassVar[Any] = (
        Index("uq_subjobs_job", "job", "ordinal", unique=True),
        partial("ix_subjobs_ready", "queue", *_FIRST, where=READY),
        partial("ix_subjobs_ready_tenant", "queue", "tenant", *_FIRST, where=READY),
        partial("ix_subjobs_ready_fair", "queue", "priority", "fair_key", "job", "id", where=READY),
        partial("ix_subjobs_running", "queue", "tenant", where=RUNNING),
        partial("ix_subjobs_wake_at", "wake_at", where="wake_at IS NOT NULL"),
        partial("ix_subjobs_cancelling", "updated_at", where=CANCELLING),
        partial("ix_subjobs_limit_at", "limit_at", where=LIMITED),
        partial("ix_subjobs_silence_at", "silence_at", where=HEARD),
        partial("ix_subjobs_total_at", "total_at", where=LIMITED_IN_ALL),
        {"sqlite_autoincrement": True},
    )

    id: int = numbered()
    job: int = big()
    ordinal: int
    tenant: str = text()
    key: str = text()
    queue: str = text()
    priority: int
    fair_key: str = text()
    state: str = text()
    reason: str = text()
    message: str = text()
    generation: int
    payload: str = text()
    result: str = text()
    attempts: int
    attempt_no: int
    wake_at: int | None = optional_big()
    created_at: int = big()
    updated_at: int = big()
    started_at: int | None = optional_big()
    finished_at: int | None = optional_big()
    limit_at: int | None = optional_big()
    """When it has to be started, or its attempt to be over."""
    silence_at: int | None = optional_big()
    """When its worker has to be heard of."""
    total_at: int | None = optional_big()
    """When it has to be over for good."""


class AttemptRow(Row, table=True):
    """One lease of a subjob: who holds it, under which secret, and how it ended."""

    __tablename__ = "attempts"
    __table_args__: ClassVar[Any] = (
        partial("ix_attempts_open", "session", where=OPEN),
        {"sqlite_with_rowid": False},
    )

    subjob: int = part_of_key(BIG)
    number: int = part_of_key(BIG)
    session: int = big()
    principal: str = text()
    worker: str = text()
    secret: str = text()
    """SHA-256 of the random part of the token; the token itself is kept nowhere."""
    outcome: str = text()
    answer: str = text()
    """What the settle that ended it was told, so that the same settle sent twice is told the same."""
    reason: str = text()
    message: str = text()
    exit_code: int | None = optional_big()
    started_at: int = big()
    ended_at: int | None = optional_big()
    log_size: int = big()


class SessionRow(Row, table=True):
    """A worker that is alive until ``expires_at`` unless it is heard of."""

    __tablename__ = "sessions"
    __table_args__: ClassVar[Any] = (
        Index("uq_sessions_name", "principal", "name", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int = numbered()
    principal: str = text()
    name: str = text()
    worker: str = text()
    created_at: int = big()
    seen_at: int = big()
    expires_at: int = Field(sa_type=BIG, index=True)


class EventRow(Row, table=True):
    """One thing that happened to a job; rows outlive their job."""

    __tablename__ = "events"
    __table_args__: ClassVar[Any] = (
        Index("uq_events_job", "job", "job_seq", unique=True),
        {"sqlite_autoincrement": True},
    )

    position: int = numbered()
    job: int = big()
    job_uid: str = text()
    job_seq: int = big()
    api: str = text()
    tenant: str = text()
    type: str = text()
    state: str = text()
    subjob: int | None = optional_big()
    subjob_state: str | None = optional_text()
    attempt: int | None = optional_big()
    reason: str = text()
    message: str = text()
    actor: str = text()
    request_id: str = text()
    at: int = big()


class RequestKeyRow(Row, table=True):
    """A request that was answered: which job it made, and the hash of what it asked."""

    __tablename__ = "request_keys"
    __table_args__: ClassVar[Any] = (
        Index("ix_request_keys_job", "job"),
        partial("ix_request_keys_expires_at", "expires_at", where="expires_at IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    api: str = part_of_key()
    tenant: str = part_of_key()
    key: str = part_of_key()
    fingerprint: str = text()
    job: int = big()
    expires_at: int | None = optional_big()
    """Unset: as long as the job exists."""


class MetaRow(Row, table=True):
    """A fact about the database itself."""

    __tablename__ = "meta"

    name: str = part_of_key()
    value: str = text()
