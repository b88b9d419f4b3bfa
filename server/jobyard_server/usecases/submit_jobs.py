"""Submit many jobs at once, all or none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Refused, Violation, invalid
from jobyard_server.usecases.drafts import JobDraft, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import NewJob
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store, Submitted

MAX_JOBS: Final = 1000


async def submit_jobs(
    store: Store, call: Call, drafts: Sequence[JobDraft], *, field: str = "jobs"
) -> Sequence[Submitted]:
    """Accept jobs, all or none; a refusal names the first one refused, in its text and in ``metadata["index"]``."""
    if len(drafts) > MAX_JOBS:
        raise invalid(field, f"has more than {MAX_JOBS} jobs")
    jobs: list[NewJob] = []
    for index, draft in enumerate(drafts):
        try:
            jobs.append(await resolve(store.read, call, draft))
        except Refused as refused:
            raise _at(refused, field, index) from None
    try:
        return await store.submit_many(jobs)
    except Refused as refused:
        index_text = refused.refusal.metadata.get("index")
        if index_text is None:
            raise
        raise _at(refused, field, int(index_text)) from None


def _at(refused: Refused, field: str, index: int) -> Refused:
    """The refusal of one job of many, with its place."""
    refusal = refused.refusal
    place = f"{field}[{index}]"
    return Refused(
        replace(
            refusal,
            message=f"{place}: {refusal.message}",
            violations=tuple(Violation(f"{place}.{v.field}", v.description) for v in refusal.violations),
            metadata={**refusal.metadata, "index": str(index)},
        )
    )
