"""Runtimes: which workers run a function. They are executors; the one for Python is always there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from jobyard_server.apis.qinling import names, refusals
from jobyard_server.domain.catalog import Executor, Reach
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Reader

PAGE: Final = 500
OWNER: Final = "default"

PYTHON: Final = Executor(
    api=names.API,
    tenant=OWNER,
    id=names.PYTHON_RUNTIME,
    kind=names.RUNTIME,
    reach=Reach.PULL,
    queue=names.queue_of(names.PYTHON),
    enabled=True,
    spec=json.dumps({"name": "python3", "description": "Packages of Python code."}),
    attributes={},
    revision=1,
    created_by="jobyard",
    created_at=1_546_300_800_000_000,
    updated_at=1_546_300_800_000_000,
)


async def seen(read: Reader, call: Call) -> Sequence[Executor]:
    """The runtimes that a caller may use, the oldest first."""
    found: list[Executor] = [PYTHON]
    after: tuple[str, str, str] | None = None
    while True:
        page = await read.executors(names.API, None, after=after, limit=PAGE)
        found += [each for each in page if each.kind == names.RUNTIME and each.enabled and _shown(each, call)]
        if len(page) < PAGE:
            return sorted(found, key=lambda each: (each.created_at, each.id))
        after = (page[-1].api, page[-1].tenant, page[-1].id)


def _shown(executor: Executor, call: Call) -> bool:
    return executor.tenant == call.tenant or bool(json.loads(executor.spec).get("is_public", True))


async def find(read: Reader, call: Call, id_: str) -> Executor:
    """One of them."""
    own = await read.executor(names.API, call.tenant, id_)
    if own is not None and own.kind == names.RUNTIME:
        return own
    for each in await seen(read, call):
        if each.id == id_:
            return each
    raise refusals.runtime_unknown(id_)
