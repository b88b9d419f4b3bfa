"""What a scheduled job makes: kept in its spec as the submit said it, and turned into jobs when they are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import orjson

from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.job import Job, NewJob, NewSubjob, RetryPolicy
from jobyard_server.domain.json_text import elements, member
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Refusal, Refused
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import JobDraft, find_definition, resolve
from jobyard_server.usecases.ports import DueTime, Reader

_REMEMBERED: Final = 4096
"""Longer specs are read anew each time: a few of them would fill the memory."""

_PLAIN: Final = ("definition", "definition_version", "queue", "display_name", "priority", "fair_key")


def template_text(draft: JobDraft) -> str:
    """What the jobs of a draft are to be, as JSON; payloads stay byte for byte."""
    parts = {name: _json(value) for name in _PLAIN if (value := getattr(draft, name))}
    if draft.expires_after is not None:
        parts["expires_after"] = _json(draft.expires_after)
    if draft.labels:
        parts["labels"] = _json(dict(draft.labels))
    if draft.retry is not None:
        parts["retry"] = _json(_retry_facts(draft.retry))
    if draft.payload is not None:
        parts["payload"] = draft.payload
    if draft.subjobs is not None:
        parts["subjobs"] = "[" + ",".join(_piece_text(piece) for piece in draft.subjobs) + "]"
    return _object(parts)


def _object(parts: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _piece_text(piece: NewSubjob) -> str:
    parts = {name: _json(value) for name in ("key", "queue") if (value := getattr(piece, name))}
    return _object({**parts, "payload": piece.payload})


def _retry_facts(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "max_attempts": policy.max_attempts,
        "initial_backoff": policy.initial_backoff,
        "multiplier": policy.multiplier,
        "max_backoff": policy.max_backoff,
        "non_retryable_reasons": sorted(policy.non_retryable),
    }


def template(text: str) -> JobDraft:
    """The draft in such a text."""
    return _remembered(text) if len(text) <= _REMEMBERED else _template(text)


def _template(text: str) -> JobDraft:
    facts = orjson.loads(text)
    pieces = member(text, "subjobs")
    retry = facts.get("retry")
    return JobDraft(
        **{name: facts[name] for name in _PLAIN if name in facts},
        labels=facts.get("labels", {}),
        expires_after=facts.get("expires_after"),
        retry=_retry_policy(retry) if retry is not None else None,
        payload=member(text, "payload"),
        subjobs=None if pieces is None else tuple(map(_piece, elements(pieces))),
    )


_remembered: Final = lru_cache(maxsize=2048)(_template)


def _piece(text: str) -> NewSubjob:
    facts = orjson.loads(text)
    return NewSubjob(member(text, "payload") or "null", facts.get("key", ""), facts.get("queue"))


def _retry_policy(facts: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        facts["max_attempts"],
        facts["initial_backoff"],
        facts["multiplier"],
        facts["max_backoff"],
        frozenset(facts["non_retryable_reasons"]),
    )


async def make_jobs(read: Reader, times: Sequence[DueTime]) -> Sequence[NewJob | Refusal]:
    """The jobs of due times, by the definitions as they are now; each definition is read once."""
    found: dict[tuple[str, str, int], Definition | Refusal] = {}
    return [await _make(read, time.job, found) for time in times]


async def _make(read: Reader, job: Job, found: dict[tuple[str, str, int], Definition | Refusal]) -> NewJob | Refusal:
    # Nobody calls: the job is made in the name of the user who scheduled it.
    call = Call(Principal(job.created_by, job.tenant), job.api)
    draft = template(job.spec)
    if draft.definition:
        named = (job.tenant, draft.definition, draft.definition_version)
        if named not in found:
            found[named] = await _find(read, call, draft)
        definition = found[named]
        if isinstance(definition, Refusal):
            return definition
        draft = replace(draft, resolved=definition)
    return await resolve(read, call, draft)


async def _find(read: Reader, call: Call, draft: JobDraft) -> Definition | Refusal:
    try:
        return await find_definition(read, call, draft)
    except Refused as refused:
        if refused.refusal.retry_after is not None:
            # Not the definition is to blame, but the store.
            raise
        return refused.refusal
