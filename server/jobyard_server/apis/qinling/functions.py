"""Functions, their versions and aliases: what the store keeps of them, and which one a request means."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from jobyard_server.apis.qinling import names, refusals, scope
from jobyard_server.domain.catalog import Definition, Record
from jobyard_server.domain.filter import Expression, Scalar
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import invalid
from jobyard_server.usecases.ports import DefinitionQuery, Order, Reader, RecordQuery

CPU: Final = (100, 100, 300)
"""Thousandths of a processor: usual, least, most."""
MEMORY: Final = (33_554_432, 33_554_432, 134_217_728)
"""Bytes."""
TIMEOUT: Final = (5, 1, 300)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A spec: JSON of a few members, all with a default."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read one; what is not known is left out."""
        said = json.loads(text)
        known = {each.name for each in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in said.items() if name in known})

    def text(self) -> str:
        """Write it."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class FunctionSpec(Kept):
    """What is kept of a function."""

    name: str | None = None
    description: str | None = None
    runtime_id: str | None = None
    code: Mapping[str, Any] = field(default_factory=lambda: {"source": "package"})
    entry: str = "main.main"
    cpu: int = CPU[0]
    memory_size: int = MEMORY[0]
    timeout: int = TIMEOUT[0]
    latest_version: int = 0
    package: str = ""
    """What opens the package to those who run it."""
    sha256: str = ""
    """Of the package."""


@dataclass(frozen=True, slots=True)
class VersionSpec(Kept):
    """What is kept of a version: what differs from the function as it is now."""

    uid: str = ""
    number: int = 0
    description: str | None = None
    md5sum: str = ""
    entry: str = "main.main"
    package: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class AliasSpec(Kept):
    """What is kept of an alias, and of a webhook."""

    uid: str = ""
    description: str | None = None
    function_id: str | None = None
    function_alias: str | None = None
    function_version: int | None = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be executed, looked up and settled."""

    function_id: str
    version: int
    alias: str | None
    definition: Definition
    """Of the version; of the function itself for version 0."""
    queue: str
    spec: FunctionSpec
    """The function, with package and entry of the version."""


def check_function(spec: str) -> Mapping[str, Attribute]:
    """Refuse a definition of a function, or of a version, that nothing could be executed with."""
    return _checked("definition.spec", spec)


def check_alias(body: str) -> Mapping[str, Attribute]:
    """Refuse a record of an alias, or of a webhook, that cannot be read."""
    return _checked("record.body", body)


def _checked(where: str, text: str) -> Mapping[str, Attribute]:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise invalid(where, "is not an object")
    for name in ("cpu", "memory_size", "timeout", "latest_version", "number", "function_version"):
        value = said.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise invalid(f"{where}.{name}", "is not an integer")
    for name in ("entry", "package", "sha256", "uid", "function_id", "function_alias"):
        if not isinstance(said.get(name, ""), str | None):
            raise invalid(f"{where}.{name}", "is not a string")
    if not isinstance(said.get("code", {}), dict):
        raise invalid(f"{where}.code", "is not an object")
    return {}


# --- looking up ------------------------------------------------------------------------------------------------------


async def find_function(read: Reader, tenant: str, id_: str) -> Definition:
    """The definition of a function."""
    found = await read.definition(names.API, tenant, id_)
    if found is None or found.kind != names.FUNCTION:
        raise refusals.function_unknown(id_)
    return found


async def find_version(read: Reader, tenant: str, function: str, number: int) -> Definition:
    """The definition of a version, from 1 on."""
    found = await read.definition(names.API, tenant, names.version_id(function, number)) if number > 0 else None
    if found is None or found.kind != names.VERSION:
        raise refusals.version_unknown(function, number)
    return found


async def find_alias(read: Reader, tenant: str, name: str) -> Record:
    """The record of an alias."""
    found = await read.record(names.API, tenant, names.ALIAS, name)
    if found is None:
        raise refusals.alias_unknown(name)
    return found


async def find_target(
    read: Reader, tenant: str, *, function_id: str | None, alias: str | None, version: int | None
) -> Target:
    """What a request means, or a job at the moment it is due; an alias goes before a function."""
    if alias:
        pointing = AliasSpec.of((await find_alias(read, tenant, alias)).body)
        function_id, version = pointing.function_id, pointing.function_version
    function = await find_function(read, tenant, function_id or "")
    spec = FunctionSpec.of(function.spec)
    if not version:
        return Target(function.id, 0, alias or None, function, function.queue, spec)
    definition = await find_version(read, tenant, function.id, version)
    own = VersionSpec.of(definition.spec)
    spec = dataclasses.replace(spec, entry=own.entry, package=own.package, sha256=own.sha256)
    return Target(function.id, version, alias or None, definition, function.queue, spec)


async def functions_of(read: Reader, seen: scope.Seen) -> AsyncIterator[Definition]:
    """The functions that a list shows, the newest first."""

    def page(behind: Expression | None) -> Awaitable[Sequence[Definition]]:
        where = scope.joined(seen.where, behind)
        order = tuple(Order(name, descending=True) for name in ("created_at", "tenant", "id"))
        query = DefinitionQuery(names.API, seen.tenant, names.FUNCTION, {}, where=where, order=order, limit=scope.PAGE)
        return read.definitions_of(query)

    async for found in scope.pages(page, _age):
        for each in found:
            yield each


async def versions_of(read: Reader, tenant: str, function: str) -> Sequence[Definition]:
    """The versions of a function, the oldest first."""
    newest = FunctionSpec.of((await find_function(read, tenant, function)).spec).latest_version
    found = [
        await read.definition(names.API, tenant, names.version_id(function, number)) for number in range(1, newest + 1)
    ]
    return [each for each in found if each is not None]


async def records_of(read: Reader, seen: scope.Seen, kind: str) -> AsyncIterator[Record]:
    """The records of a kind that a list shows, the newest first."""

    def page(behind: Expression | None) -> Awaitable[Sequence[Record]]:
        where = scope.joined(seen.where, behind)
        return read.records_of(RecordQuery(names.API, seen.tenant, kind, where, descending=True, limit=scope.PAGE))

    async for found in scope.pages(page, _age):
        for each in found:
            yield each


def _age(kept: Definition | Record) -> Mapping[str, Scalar]:
    return {"created_at": kept.created_at, "tenant": kept.tenant, "id": kept.id}
