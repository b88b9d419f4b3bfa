"""Which types exist, who supplies them, and whether those are alive: within a transaction, and outside of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobyard_server.apis.infojobs.naming import choose, stands_in, type_name
from jobyard_server.apis.infojobs.nouns import API, PRODUCER, SERVICE, SUPPLY, Producer, heard_of, producer, supply_id
from jobyard_server.domain.catalog import Definition, Executor
from jobyard_server.usecases.ports import Reader, Tx

MOST: Final = 10_000
"""Types of one name, or producers of one type, that are looked at."""
PAGE: Final = 500


class Locked:
    """Looks within a transaction."""

    def __init__(self, tx: Tx, tenant: str) -> None:
        self._tx = tx
        self._tenant = tenant

    def exact_type(self, id_: str) -> Definition | None:
        """The type of a name."""
        return self._tx.definition(API, self._tenant, id_)

    def type(self, wanted: str) -> Definition | None:
        """The type that a request means."""
        exact = self.exact_type(wanted)
        if exact is not None:
            return exact
        chosen = choose(wanted, self._versions(wanted))
        return None if chosen is None else self._tx.definition(API, self._tenant, chosen)

    def suppliers(self, type_: str) -> list[str]:
        """The producers of a type and of those that stand in for it."""
        wanted = type_name(type_)
        fitting = {type_} | {one for one in self._versions(type_) if stands_in(type_name(one), wanted)}
        found: set[str] = set()
        for one in fitting:
            begin = supply_id(one)
            records = self._tx.records(API, self._tenant, SUPPLY, prefix=begin, limit=MOST)
            found |= {record.id.removeprefix(begin) for record in records}
        return sorted(found)

    def covered(self, types: Sequence[str]) -> list[str]:
        """The types whose jobs a producer of some types gets."""
        offered = [type_name(one) for one in types]
        found = set(types)
        for one in offered:
            found |= {text for text in self._versions(one.text) if stands_in(one, type_name(text))}
        return sorted(found)

    def producer(self, id_: str) -> Producer | None:
        """A producer, if it is registered."""
        return _producer(self._tx.executor(API, self._tenant, id_))

    def _versions(self, type_: str) -> list[str]:
        wanted = type_name(type_)
        if wanted.version is None:
            return [type_] if self._tx.definition(API, self._tenant, type_) else []
        found = self._tx.definitions(API, self._tenant, prefix=wanted.prefix, limit=MOST)
        return [one.id for one in found]


class Reading:
    """Looks at what is committed."""

    def __init__(self, read: Reader, tenant: str) -> None:
        self._read = read
        self._tenant = tenant

    async def exact_type(self, id_: str) -> Definition | None:
        """The type of a name."""
        return await self._read.definition(API, self._tenant, id_)

    async def type(self, wanted: str) -> Definition | None:
        """The type that a request means."""
        exact = await self.exact_type(wanted)
        if exact is not None:
            return exact
        chosen = choose(wanted, await self._versions(wanted))
        return None if chosen is None else await self._read.definition(API, self._tenant, chosen)

    async def suppliers(self, type_: str) -> list[Producer]:
        """The producers of a type and of those that stand in for it."""
        wanted = type_name(type_)
        fitting = {type_} | {one for one in await self._versions(type_) if stands_in(type_name(one), wanted)}
        found: dict[str, Producer] = {}
        for one in fitting:
            for id_ in await self._suppliers_of(one):
                if (kept := await self.producer(id_)) is not None:
                    found[id_] = kept
        return [found[id_] for id_ in sorted(found)]

    async def covered(self, types: Sequence[str]) -> list[str]:
        """The types whose jobs a producer of some types gets."""
        found = set(types)
        for one in map(type_name, types):
            found |= {text for text in await self._versions(one.text) if stands_in(one, type_name(text))}
        return sorted(found)

    async def producer(self, id_: str) -> Producer | None:
        """A producer, if it is registered."""
        return _producer(await self._read.executor(API, self._tenant, id_))

    async def alive(self, found: Producer) -> bool:
        """Whether a producer has missed nothing."""
        if found.misses:
            return False
        if found.check_url:
            return True
        service = await self._read.record(API, self._tenant, SERVICE, found.id)
        return heard_of(service, await self._read.now())

    async def type_names(self) -> list[str]:
        """Every type."""
        found: list[str] = []
        after: tuple[str, str, str, int] | None = None
        while True:
            page = await self._read.definitions(API, self._tenant, after=after, limit=PAGE)
            found += [one.id for one in page]
            if len(page) < PAGE:
                return found
            after = (API, self._tenant, page[-1].id, page[-1].version)

    async def producer_names(self, type_: str | None = None) -> list[str]:
        """Every producer, or those of a type; none of a type that does not exist."""
        if type_ is not None:
            return [one.id for one in await self.suppliers(type_)] if await self.exact_type(type_) else []
        found: list[str] = []
        after: tuple[str, str, str] | None = None
        while True:
            page = await self._read.executors(API, self._tenant, after=after, limit=PAGE)
            found += [one.id for one in page]
            if len(page) < PAGE:
                return found
            after = (API, self._tenant, page[-1].id)

    async def _versions(self, type_: str) -> list[str]:
        wanted = type_name(type_)
        if wanted.version is None:
            return [type_] if await self._read.definition(API, self._tenant, type_) else []
        found: list[str] = []
        after = (API, self._tenant, wanted.prefix, -1)
        while True:
            page = await self._read.definitions(API, self._tenant, after=after, limit=PAGE)
            fitting = [one.id for one in page if one.id.startswith(wanted.prefix)]
            found += fitting
            if len(fitting) < PAGE:
                return found
            after = (API, self._tenant, page[-1].id, page[-1].version)

    async def _suppliers_of(self, type_: str) -> list[str]:
        begin = after = supply_id(type_)
        found: list[str] = []
        while True:
            page = await self._read.records(API, self._tenant, SUPPLY, after=after, limit=PAGE)
            fitting = [record.id.removeprefix(begin) for record in page if record.id.startswith(begin)]
            found += fitting
            if len(fitting) < PAGE:
                return found
            after = page[-1].id


def _producer(found: Executor | None) -> Producer | None:
    return producer(found) if found is not None and found.kind == PRODUCER else None
