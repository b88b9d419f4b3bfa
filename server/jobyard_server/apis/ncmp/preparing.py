"""Makes parts out of a job: finds the targets of its operations and splits them, some at a time and off the loop.

What a part is sent is written while it grows, so that a large job is never in memory twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import uuid4

import msgspec

from jobyard_server.apis.ncmp.nouns import API, REFERENCE
from jobyard_server.apis.ncmp.routing import ProducerKey, Route, Routes, candidates
from jobyard_server.apis.ncmp.splitting import Part, Splitter
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.contents import Keeping
from jobyard_server.usecases.ports import Store, Tx

Steps: TypeAlias = AsyncGenerator[Sequence[msgspec.Raw], None]
"""Operations, some at a time, each time as many as there are."""

STEP: Final = 1024
"""Operations whose targets are looked up together: what they could be is in memory at the same time."""
MOST_KNOWN: Final = 10_000
"""Targets that are remembered from one step to the next; then they are looked up again."""
MOST_PARTS: Final = 5000
"""Data producers of one job: its parts are stored in one transaction."""
LARGE: Final = 1024 * 1024
"""Bytes of a part that are kept as soon as they are there; less is written with the job."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A part that can be stored with its job."""

    key: ProducerKey
    operations: int
    body: str
    """Under which name is kept what it is sent."""
    rest: bytearray
    """That itself, when it is small."""
    written: Keeping | None
    """How much of it was written, when it is large."""
    size: int

    def keep(self, tx: Tx, job: int) -> None:
        """Keep what it is sent for as long as its job is."""
        if self.written is None:
            tx.put_blob(self.body, self.rest, job=job)
        else:
            tx.finish_blob(self.body, self.size, self.written.digest, job=job)


async def make_parts(store: Store, tenant: str, steps: Steps, splitter: Splitter) -> Sequence[Prepared]:
    """Split all operations; raises ``Refused`` for one that cannot be, and then there are no parts."""
    name = f"ncmp/{uuid4()}"
    routes, known, written = Routes(), dict[str, Route](), dict[ProducerKey, Keeping]()
    async with aclosing(_small(steps)) as small:
        async for step in small:
            if len(known) > MOST_KNOWN:
                known.clear()
            wanted = await asyncio.to_thread(_wanted, splitter, step, known)
            found = await store.read.record_bodies(API, tenant, REFERENCE, wanted)
            known.update((id_, routes(body)) for id_, body in found.items())
            await asyncio.to_thread(splitter.take, step, known)
            if len(splitter.parts) > MOST_PARTS:
                raise invalid(splitter.field, f"has operations for more than {MOST_PARTS} data producers")
            for number, part in enumerate(splitter.parts):
                if len(part.body) >= LARGE:
                    await _write(written.setdefault(part.key, Keeping(store, f"{name}/{number}")), part)
    return [
        await _prepared(part, f"{name}/{number}", written.get(part.key)) for number, part in enumerate(splitter.end())
    ]


async def all_at_once(operations: Sequence[msgspec.Raw]) -> Steps:
    """The steps of a job whose operations are all there."""
    yield operations


async def _small(steps: Steps) -> Steps:
    # However it ends, who gives them hears of it now and not when memory is tidied.
    async with aclosing(steps) as given:
        async for operations in given:
            for start in range(0, len(operations), STEP):
                yield operations[start : start + STEP]


async def _prepared(part: Part, name: str, written: Keeping | None) -> Prepared:
    size = len(part.body)
    if written is not None:
        await _write(written, part)
        size = (await written.end()).size
    return Prepared(part.key, part.count, name, part.body, written, size)


async def _write(written: Keeping, part: Part) -> None:
    await written.add(bytes(part.body))
    part.body.clear()


def _wanted(splitter: Splitter, step: Sequence[msgspec.Raw], known: dict[str, Route]) -> list[str]:
    """What could be a target of some operations and is not known as one."""
    return sorted(candidates(splitter.paths(step)) - known.keys())
