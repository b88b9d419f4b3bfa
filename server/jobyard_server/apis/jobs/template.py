"""What a scheduled job makes: kept in its spec as the submit said it, and turned into jobs when they are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.job import NewJob, NewSubjob, RetryPolicy, TimeLimits
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Refusal, Refused
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import JobDraft, find_definition, resolve
from jobyard_server.usecases.ports import DueTime, Reader

_NULL: Final = msgspec.Raw(b"null")


class _Piece(msgspec.Struct, omit_defaults=True):
    """A subjob; the payload byte for byte."""

    key: str = ""
    queue: str | None = None
    payload: msgspec.Raw = _NULL


class _Retry(msgspec.Struct):
    """A retry policy."""

    max_attempts: int
    initial_backoff: float
    multiplier: float
    max_backoff: float
    non_retryable_reasons: list[str]


class _Limits(msgspec.Struct, omit_defaults=True):
    """Time limits, in seconds."""

    start: float | None = None
    attempt: float | None = None
    heartbeat: float | None = None
    total: float | None = None


class _Template(msgspec.Struct, omit_defaults=True):
    """The spec of a scheduled job."""

    definition: str = ""
    definition_version: int = 0
    queue: str | None = None
    display_name: str = ""
    priority: int = 0
    fair_key: str = ""
    labels: dict[str, str] = {}
    retry: _Retry | None = None
    limits: _Limits | None = None
    expires_after: float | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    subjobs: list[_Piece] | None = None


_read: Final = msgspec.json.Decoder(_Template).decode
_print: Final = msgspec.json.Encoder().encode


def template_text(draft: JobDraft) -> str:
    """What the jobs of a draft are to be, as JSON."""
    said = _Template(
        definition=draft.definition,
        definition_version=draft.definition_version,
        queue=draft.queue,
        display_name=draft.display_name,
        priority=draft.priority,
        fair_key=draft.fair_key,
        labels=dict(draft.labels),
        retry=None if draft.retry is None else _retry(draft.retry),
        limits=None if draft.limits is None else _limits(draft.limits),
        expires_after=draft.expires_after,
        payload=msgspec.UNSET if draft.payload is None else msgspec.Raw(draft.payload),
        subjobs=None if draft.subjobs is None else [_piece(piece) for piece in draft.subjobs],
    )
    return _print(said).decode()


def _piece(piece: NewSubjob) -> _Piece:
    return _Piece(piece.key, piece.queue, msgspec.Raw(piece.payload))


def _limits(limits: TimeLimits) -> _Limits:
    return _Limits(limits.start, limits.attempt, limits.heartbeat, limits.total)


def _retry(policy: RetryPolicy) -> _Retry:
    return _Retry(
        policy.max_attempts,
        policy.initial_backoff,
        policy.multiplier,
        policy.max_backoff,
        sorted(policy.non_retryable),
    )


async def make_jobs(read: Reader, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
    """The jobs of due times, by the definitions as they are now; each definition is read once."""
    return await _Making(read).all(times)


class _Making:
    """One set of due times."""

    def __init__(self, read: Reader) -> None:
        self._reader = read
        self._found: dict[tuple[str, str, int], Definition | Refusal] = {}
        self._calls: dict[tuple[str, str, str], Call] = {}

    async def all(self, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
        """The jobs, one by one."""
        return [await self._one(time) for time in times]

    async def _one(self, time: DueTime) -> NewJob | Refusal:
        job = time.job
        by = job.created_by, job.tenant, job.api
        if (call := self._calls.get(by)) is None:
            # Nobody calls: the job is made in the name of the user who scheduled it.
            call = self._calls[by] = Call(Principal(job.created_by, job.tenant), job.api)
        said = _read(job.spec)
        definition = await self._definition(call, said) if said.definition else None
        if isinstance(definition, Refusal):
            return definition
        return await resolve(self._reader, call, _draft(said, time, definition))

    async def _definition(self, call: Call, said: _Template) -> Definition | Refusal:
        named = (call.tenant, said.definition, said.definition_version)
        if named not in self._found:
            try:
                draft = JobDraft(definition=said.definition, definition_version=said.definition_version)
                self._found[named] = await find_definition(self._reader, call, draft)
            except Refused as refused:
                if refused.refusal.retry_after is not None:
                    # Not the definition is to blame, but the store.
                    raise
                self._found[named] = refused.refusal
        return self._found[named]


def _draft(said: _Template, time: DueTime, definition: Definition | None) -> JobDraft:
    retry, limits = said.retry, said.limits
    return JobDraft(
        definition=said.definition,
        definition_version=said.definition_version,
        resolved=definition,
        queue=said.queue,
        payload=None if said.payload is msgspec.UNSET else _text(said.payload),
        subjobs=None
        if said.subjobs is None
        else tuple(NewSubjob(_text(piece.payload), piece.key, piece.queue) for piece in said.subjobs),
        labels=said.labels,
        display_name=said.display_name,
        priority=said.priority,
        fair_key=said.fair_key,
        retry=None
        if retry is None
        else RetryPolicy(
            retry.max_attempts,
            retry.initial_backoff,
            retry.multiplier,
            retry.max_backoff,
            frozenset(retry.non_retryable_reasons),
        ),
        limits=None if limits is None else TimeLimits(limits.start, limits.attempt, limits.heartbeat, limits.total),
        expires_after=said.expires_after,
        parent=time.job.number,
        due_at=time.due_at,
    )


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()
