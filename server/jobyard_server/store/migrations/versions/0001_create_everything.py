"""Create everything."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
oldest = "0001"

TYPES: dict[str, Any] = {
    # Compared byte by byte, in every database alike.
    "text": sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
    "big": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "int": sa.Integer(),
    "flag": sa.Boolean(),
    "real": sa.Double(),
    "data": sa.LargeBinary(),
}


def table(name: str, columns: str, *, key: str, **options: Any) -> None:
    """Create a table of ``name:type`` columns; a question mark allows NULL."""
    made = []
    numbered: Literal["auto"] | bool = "auto" if options.get("sqlite_autoincrement") else False
    for column in columns.split():
        called, _, type_ = column.partition(":")
        nullable = type_.endswith("?")
        made.append(sa.Column(called, TYPES[type_.removesuffix("?")], nullable=nullable, autoincrement=numbered))
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"pk_{name}")
    op.create_table(name, *made, primary, **options)


def index(name: str, on: str, columns: str, *, unique: bool = False, where: str = "") -> None:
    """Create an index, over all rows or some."""
    condition = sa.text(where) if where else None
    parts = [sa.text(part) for part in columns.split(", ")]
    op.create_index(name, on, parts, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Bring the schema to this revision."""
    table(
        "definitions",
        """
        api:text tenant:text id:text version:big kind:text base:text display_name:text enabled:flag
        queue:text spec:text attributes:text retry:text limits:text on_lease_loss:text resumable:flag
        revision:big
        created_by:text created_at:big updated_at:big
        """,
        key="api tenant id version",
        sqlite_with_rowid=False,
    )
    index("ix_definitions_name", "definitions", "api, tenant, kind, display_name, id")
    table(
        "aliases",
        """
        api:text tenant:text name:text definition:text version:big revision:big created_by:text
        created_at:big updated_at:big
        """,
        key="api tenant name",
        sqlite_with_rowid=False,
    )
    table(
        "executors",
        """
        api:text tenant:text id:text kind:text reach:text queue:text enabled:flag spec:text
        attributes:text revision:big created_by:text created_at:big updated_at:big
        """,
        key="api tenant id",
        sqlite_with_rowid=False,
    )
    table(
        "queues",
        """
        name:text priority:int ordering:text status:text slots:text time_zone:text max_running:int
        max_running_per_tenant:int rate:real burst:int tenant_rate:real tenant_burst:int last_served:text
        revision:big updated_at:big
        """,
        key="name",
        sqlite_with_rowid=False,
    )
    table(
        "lanes",
        """
        queue:text tenant:text used_until:big
        """,
        key="queue tenant",
        sqlite_with_rowid=False,
    )
    table(
        "records",
        """
        api:text tenant:text kind:text id:text body:text attributes:text revision:big created_by:text
        created_at:big updated_at:big
        """,
        key="api tenant kind id",
        sqlite_with_rowid=False,
    )
    table(
        "jobs",
        """
        number:big uid:text api:text tenant:text external_id:text? mode:text state:text state_word:text
        reason:text message:text cancel_requested:flag suspended:flag split_complete:flag exhausted:flag
        running_now:int finished_as:text? n_pending:int n_running:int n_suspended:int n_cancelling:int
        n_succeeded:int n_failed:int n_partially_failed:int n_cancelled:int generation:int revision:big
        definition:text definition_version:int queue:text priority:int fair_key:text display_name:text
        spec:text attributes:text labels:text resumable:flag retry:text limits:text
        on_lease_loss:text created_by:text created_at:big updated_at:big started_at:big? finished_at:big?
        expires_after:big? expires_at:big? last_event:big parent:big? due_at:big?
        """,
        key="number",
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 50},
    )
    index("ix_jobs_created_at", "jobs", "tenant, created_at, number")
    index("ix_jobs_parent", "jobs", "parent, number", where="parent IS NOT NULL")
    index("ix_jobs_tenant", "jobs", "tenant, number")
    index("uq_jobs_external_id", "jobs", "api, tenant, external_id", unique=True, where="external_id IS NOT NULL")
    index("uq_jobs_uid", "jobs", "uid", unique=True)
    table(
        "standings",
        "number:big api:text tenant:text state_word:text updated_at:big live_parent:big? removal_at:big?",
        key="number",
    )
    index("ix_standings_live_parent", "standings", "live_parent, number", where="live_parent IS NOT NULL")
    index("ix_standings_removal_at", "standings", "removal_at", where="removal_at IS NOT NULL")
    table(
        "subjobs",
        """
        id:big job:big ordinal:int tenant:text key:text queue:text priority:int fair_key:text state:text
        reason:text message:text generation:int payload:text result:text attempts:int attempt_no:int
        wake_at:big? created_at:big updated_at:big started_at:big? finished_at:big?
        limit_at:big? silence_at:big? total_at:big?
        """,
        key="id",
        sqlite_autoincrement=True,
    )
    index("ix_subjobs_ready", "subjobs", "queue, priority DESC, job, id", where="state = 'PENDING' AND wake_at IS NULL")
    index(
        "ix_subjobs_ready_fair",
        "subjobs",
        "queue, priority, fair_key, job, id",
        where="state = 'PENDING' AND wake_at IS NULL",
    )
    index(
        "ix_subjobs_ready_tenant",
        "subjobs",
        "queue, tenant, priority DESC, job, id",
        where="state = 'PENDING' AND wake_at IS NULL",
    )
    index("ix_subjobs_running", "subjobs", "queue, tenant", where="state IN ('RUNNING', 'CANCELLING')")
    index(
        "ix_subjobs_limit_at", "subjobs", "limit_at", where="limit_at IS NOT NULL AND state IN ('PENDING', 'RUNNING')"
    )
    index("ix_subjobs_silence_at", "subjobs", "silence_at", where="silence_at IS NOT NULL AND state = 'RUNNING'")
    index("ix_subjobs_total_at", "subjobs", "total_at", where="total_at IS NOT NULL AND finished_at IS NULL")
    index("ix_subjobs_wake_at", "subjobs", "wake_at", where="wake_at IS NOT NULL")
    index("ix_subjobs_cancelling", "subjobs", "updated_at", where="state = 'CANCELLING'")
    index("uq_subjobs_job", "subjobs", "job, ordinal", unique=True)
    table(
        "attempts",
        """
        subjob:big number:big session:big principal:text worker:text secret:text outcome:text
        answer:text reason:text message:text exit_code:big? started_at:big ended_at:big? log_size:big
        """,
        key="subjob number",
        sqlite_with_rowid=False,
    )
    index("ix_attempts_open", "attempts", "session", where="outcome = 'OPEN'")
    table(
        "sessions",
        """
        id:big principal:text name:text worker:text created_at:big seen_at:big expires_at:big
        """,
        key="id",
        sqlite_autoincrement=True,
    )
    index("ix_sessions_expires_at", "sessions", "expires_at")
    index("uq_sessions_name", "sessions", "principal, name", unique=True)
    table(
        "events",
        """
        position:big job:big job_uid:text job_seq:big api:text tenant:text type:text state:text
        subjob:big? subjob_state:text? attempt:big? reason:text message:text actor:text request_id:text
        at:big
        """,
        key="position",
        sqlite_autoincrement=True,
    )
    index("uq_events_job", "events", "job, job_seq", unique=True)
    table(
        "request_keys",
        """
        api:text tenant:text key:text fingerprint:text job:big expires_at:big?
        """,
        key="api tenant key",
        sqlite_with_rowid=False,
    )
    index("ix_request_keys_expires_at", "request_keys", "expires_at", where="expires_at IS NOT NULL")
    index("ix_request_keys_job", "request_keys", "job")
    table(
        "schedules",
        """
        job:big active:flag spec:text next_due:big? remaining:big? buffer:text backfill:text wake_at:big?
        waits:flag revision:big last_due:big? fired_at:big?
        """,
        key="job",
    )
    index("ix_schedules_waits", "schedules", "job", where="active AND waits")
    index("ix_schedules_wake_at", "schedules", "wake_at", where="active AND wake_at IS NOT NULL")
    table(
        "fires",
        """
        job:big due_at:big until:big? fate:text child:big? reason:text message:text fired_at:big
        """,
        key="job due_at",
        sqlite_with_rowid=False,
    )
    deliveries()
    table(
        "log_chunks",
        """
        subjob:big attempt:big start:big data:data
        """,
        key="subjob attempt start",
    )
    table(
        "blobs",
        """
        id:text job:big? size:big sha256:text complete:flag created_at:big
        """,
        key="id",
    )
    index("ix_blobs_job", "blobs", "job")
    table(
        "blob_chunks",
        """
        blob:text number:big data:data
        """,
        key="blob number",
    )
    table(
        "meta",
        """
        name:text value:text
        """,
        key="name",
    )


def deliveries() -> None:
    """What is owed to somebody outside."""
    table(
        "destinations",
        """
        origin:text due_at:big? failures:int blocked_until:big? updated_at:big
        """,
        key="origin",
        sqlite_with_rowid=False,
    )
    index("ix_destinations_due_at", "destinations", "due_at", where="due_at IS NOT NULL")
    table(
        "deliveries",
        """
        id:big uid:text api:text tenant:text kind:text job:big? ordering:text lane:text destination:text
        address:text facts:text policy:text credential:text state:text attempts:int next_at:big
        first_at:big claimed_until:big? last_status:int last_error:text created_at:big updated_at:big
        """,
        key="id",
        sqlite_autoincrement=True,
    )
    index("ix_deliveries_claimed", "deliveries", "claimed_until", where="state = 'SENDING'")
    index("ix_deliveries_dead", "deliveries", "tenant, id", where="state = 'DEAD'")
    index("ix_deliveries_ended", "deliveries", "state, updated_at", where="state IN ('DELIVERED', 'DEAD')")
    index("ix_deliveries_job", "deliveries", "job, id")
    index(
        "ix_deliveries_lane",
        "deliveries",
        "api, tenant, lane, destination, id",
        where="state IN ('WAITING', 'READY', 'SENDING') AND lane <> ''",
    )
    index("ix_deliveries_ready", "deliveries", "destination, next_at, id", where="state = 'READY'")
    index("ix_deliveries_sending", "deliveries", "destination", where="state = 'SENDING'")
    index("ix_deliveries_tenant", "deliveries", "tenant, id")
    index("uq_deliveries_uid", "deliveries", "uid", unique=True)
