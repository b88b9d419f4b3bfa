"""Registers targets: removes, creates, updates and upgrades them, each for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from jobyard_server.apis.ncmp import targets
from jobyard_server.apis.ncmp.targets import Target
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx

T = TypeVar("T")

STEP: Final = 200
"""Targets in one transaction: it holds up all others."""
MOST_ID: Final = 255

NOT_FOUND: Final = 100
EXISTS: Final = 109
INVALID_ID: Final = 110
_TEXTS: Final = {
    NOT_FOUND: "cm handle reference(s) not found",
    EXISTS: "cm-handle already exists",
    INVALID_ID: "cm handle reference has an invalid character(s) in id",
}


@dataclass(frozen=True, slots=True)
class Failed:
    """A target that was refused."""

    id: str
    code: int

    @property
    def text(self) -> str:
        """Why, for people."""
        return _TEXTS[self.code]


@dataclass(frozen=True, slots=True)
class Registration:
    """What is to be done."""

    removed: Sequence[str] = ()
    created: Sequence[Target] = ()
    updated: Sequence[Target] = ()
    """With what is to change; empty texts leave it as it is."""
    upgraded: Sequence[str] = ()
    tag: str = ""
    """Of those upgraded."""


@dataclass(slots=True)
class Outcome:
    """Those refused."""

    removed: list[Failed] = field(default_factory=list)
    created: list[Failed] = field(default_factory=list)
    updated: list[Failed] = field(default_factory=list)
    upgraded: list[Failed] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.removed or self.created or self.updated or self.upgraded)


async def register(store: Store, call: Call, wanted: Registration) -> Outcome:
    """Do it, step by step; what is refused does not disturb the rest."""
    outcome = Outcome()
    outcome.removed = await _each(store, wanted.removed, lambda tx, id_: _remove(tx, call, id_), str)
    outcome.created = await _each(store, wanted.created, lambda tx, new: _create(tx, call, new), _id_of)
    outcome.updated = await _each(store, wanted.updated, lambda tx, new: _update(tx, call, new), _id_of)
    outcome.upgraded = await _each(store, wanted.upgraded, lambda tx, id_: _upgrade(tx, call, id_, wanted.tag), str)
    return outcome


async def _each(
    store: Store, items: Iterable[T], act: Callable[[Tx, T], int], id_of: Callable[[T], str]
) -> list[Failed]:
    found: list[Failed] = []
    rest = iter(items)
    while step := list(islice(rest, STEP)):
        found += await store.run(partial(_step, step=step, act=act, id_of=id_of))
    return found


def _step(tx: Tx, *, step: Sequence[T], act: Callable[[Tx, T], int], id_of: Callable[[T], str]) -> list[Failed]:
    codes = [(id_of(item), act(tx, item)) for item in step]
    return [Failed(id_, code) for id_, code in codes if code]


def _id_of(item: Target) -> str:
    return item.id


def _remove(tx: Tx, call: Call, id_: str) -> int:
    found = targets.find(tx, call.tenant, id_)
    if found is None:
        return NOT_FOUND
    targets.remove(tx, call.tenant, found)
    return 0


def _create(tx: Tx, call: Call, new: Target) -> int:
    if not new.id or len(new.id) > MOST_ID or not new.id.isprintable() or " " in new.id:
        return INVALID_ID
    if targets.find(tx, call.tenant, new.id) is not None or targets.taken(tx, call.tenant, new.id, new.id):
        return EXISTS
    if new.alternate_id and targets.taken(tx, call.tenant, new.alternate_id, new.id):
        return EXISTS
    targets.put(tx, call.tenant, new, by=call.user)
    return 0


def _update(tx: Tx, call: Call, new: Target) -> int:
    before = targets.find(tx, call.tenant, new.id)
    if before is None:
        return NOT_FOUND
    other = new.alternate_id not in {"", before.alternate_id}
    if other and (before.alternate_id or targets.taken(tx, call.tenant, new.alternate_id, new.id)):
        return EXISTS
    said = targets.changed(before, alternate_id=new.alternate_id, producer=new.producer, tag=new.tag)
    targets.put(tx, call.tenant, said, by=call.user)
    return 0


def _upgrade(tx: Tx, call: Call, id_: str, tag: str) -> int:
    before = targets.find(tx, call.tenant, id_)
    if before is None:
        return NOT_FOUND
    targets.put(tx, call.tenant, replace(before, tag=tag.strip()), by=call.user)
    return 0
