"""Says for the selectors of a read job which concern whom, by the targets there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobyard_server.apis.ncmp.nouns import API, REFERENCE, TARGET
from jobyard_server.apis.ncmp.routing import Route, Routes, candidates, route_of
from jobyard_server.apis.ncmp.selectors import Classified, concerns_everybody, like, name_of, search_term, selectors_of
from jobyard_server.apis.ncmp.targets import target
from jobyard_server.usecases.ports import Reader

PAGE: Final = 1000


async def classify(read: Reader, tenant: str, text: str) -> Classified:
    """Classify the selectors of a text; those that concern everybody need no look at the targets."""
    found = Classified()
    for selector in selectors_of(text):
        if concerns_everybody(selector):
            found.broadcast.append(selector)
        else:
            found.route(selector, await _routes(read, tenant, selector))
    return found


async def _routes(read: Reader, tenant: str, selector: str) -> Sequence[Route]:
    term = search_term(selector)
    if term is not None:
        return await _search(read, tenant, term)
    name = name_of(selector)
    bodies = await read.record_bodies(API, tenant, REFERENCE, sorted(candidates((name,))))
    routes = Routes()
    route = route_of(name, {id_: routes(body) for id_, body in bodies.items()})
    return [] if route is None else [route]


async def _search(read: Reader, tenant: str, term: str) -> Sequence[Route]:
    """The routes of all targets whose identifiers contain a term, one for each target."""
    found: list[Route] = []
    after: str | None = None
    while True:
        page = await read.records(API, tenant, TARGET, after=after, limit=PAGE)
        # Few of many contain it, and the text of a record is looked at faster than the record.
        fitting = [target(one) for one in page if like(term, (one.id, str(one.attributes.get("alternate_id") or "")))]
        found += [one.route for one in fitting]
        if len(page) < PAGE:
            return found
        after = page[-1].id
