"""What a server does when it begins: producers that were alive when it ended may not be any more."""

from __future__ import annotations

from functools import partial
from typing import Final

from jobyard_server.apis.infojobs.nouns import API
from jobyard_server.apis.infojobs.producers import look_after_all
from jobyard_server.apis.registration import Options
from jobyard_server.usecases.ports import Store

PAGE: Final = 200


async def look_after_everybody(store: Store, _options: Options) -> None:
    """Look after every producer at once."""
    after: tuple[str, str, str] | None = None
    while True:
        page = await store.read.executors(API, None, after=after, limit=PAGE)
        for tenant in sorted({one.tenant for one in page}):
            ids = [one.id for one in page if one.tenant == tenant]
            await store.run(partial(look_after_all, tenant=tenant, ids=ids))
        if len(page) < PAGE:
            return
        after = (API, page[-1].tenant, page[-1].id)
