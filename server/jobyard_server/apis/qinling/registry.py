"""What changes functions and their versions in the store: definitions and packages, together or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Final

from jobyard_server import archive
from jobyard_server.apis.qinling import names, refusals
from jobyard_server.apis.qinling.functions import FunctionSpec, VersionSpec
from jobyard_server.domain.catalog import Definition, NewDefinition
from jobyard_server.domain.filter import All, Comparison, Expression, Not, Op
from jobyard_server.domain.signing import Signer
from jobyard_server.domain.state import TERMINAL, Mode
from jobyard_server.usecases.ports import JobQuery, Reader, Tx

PURPOSE: Final = "qinling.package"
"""What package tokens are sealed for."""

MOST_VERSIONS: Final = 10
MOST_OF_PROJECT: Final = 512 * 1024 * 1024
"""Bytes of all packages of a project."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was examined."""

    content: bytes
    md5sum: str
    sha256: str


def examined(content: bytes, expected: str) -> Package:
    """Look at a package before it is kept; ``expected`` is its md5 sum if the client named one."""
    if not content:
        raise refusals.wrong("package", "A package must be provided for a function of package type.")
    try:
        archive.check(content)
    except archive.ArchiveError as problem:
        raise refusals.wrong("package", f"The package {problem}.") from None
    # The sum that clients send and are told; nothing trusts it.
    md5sum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if expected and expected != md5sum:
        raise refusals.wrong("package", "Package md5 mismatch.")
    return Package(content, md5sum, hashlib.sha256(content).hexdigest())


def keep_package(tx: Tx, signer: Signer, tenant: str, function: str, number: int, package: Package) -> str:
    """Keep a package; the token that opens it."""
    tx.delete_blob(names.package_name(tenant, function, number))
    if tx.blob_bytes(names.packages_of(tenant)) + len(package.content) > MOST_OF_PROJECT:
        raise refusals.not_now("The packages of this project take too much space; delete some that are not needed.")
    name = names.package_name(tenant, function, number)
    tx.put_blob(name, package.content)
    return signer.seal(PURPOSE, [name])


def opened(signer: Signer, token: str) -> str:
    """The name of the package that a token opens; ``ValueError`` for one that was not made here."""
    (name,) = signer.open(PURPOSE, token)
    return str(name)


def put_function(tx: Tx, definition: Definition, spec: FunctionSpec, queue: str, user: str) -> Definition:
    """Write a function."""
    return tx.put_definition(
        NewDefinition(
            names.API, definition.tenant, user, definition.id, kind=names.FUNCTION,
            display_name=spec.name or "", queue=queue, spec=spec.text(),
        )
    )  # fmt: skip


def locked_function(tx: Tx, tenant: str, id_: str) -> Definition:
    """A function as it is now."""
    found = tx.definition(names.API, tenant, id_)
    if found is None or found.kind != names.FUNCTION:
        raise refusals.function_unknown(id_)
    return found


def put_version(
    tx: Tx, signer: Signer, function: Definition, package: bytes, text: str | None, user: str
) -> Definition:
    """Keep a function as it is now under the next number."""
    spec = FunctionSpec.of(function.spec)
    source, md5sum = str(spec.code.get("source")), str(spec.code.get("md5sum", ""))
    if source != "package":
        raise refusals.not_now("Function versioning only allowed for package type function.")
    kept = [each for each in _versions(tx, function, spec) if each is not None]
    if len(kept) >= MOST_VERSIONS:
        raise refusals.not_now(f"Can not exceed maximum number({MOST_VERSIONS}) of versions")
    last = VersionSpec.of(kept[-1].spec) if kept else None
    if last is not None and last.number == spec.latest_version and last.md5sum == md5sum:
        raise refusals.not_now(f"Function package not changed since the latest version {spec.latest_version}.")
    number = spec.latest_version + 1
    token = keep_package(tx, signer, function.tenant, function.id, number, Package(package, md5sum, spec.sha256))
    version = VersionSpec(names.new_id(), number, text, md5sum, spec.entry, token, spec.sha256)
    put_function(tx, function, dataclasses.replace(spec, latest_version=number), function.queue, user)
    return tx.put_definition(
        NewDefinition(
            names.API, function.tenant, user, names.version_id(function.id, number), kind=names.VERSION,
            base=function.id, display_name=spec.name or "", queue=function.queue, spec=version.text(),
        )
    )  # fmt: skip


def drop_version(tx: Tx, tenant: str, function: str, number: int) -> bool:
    """Remove a version with its package; whether it was there."""
    tx.delete_blob(names.package_name(tenant, function, number))
    return tx.delete_definition(names.API, tenant, names.version_id(function, number))


def drop_function(tx: Tx, function: Definition) -> None:
    """Remove a function with all its versions."""
    for number in range(FunctionSpec.of(function.spec).latest_version + 1):
        drop_version(tx, function.tenant, function.id, number)


def _versions(tx: Tx, function: Definition, spec: FunctionSpec) -> list[Definition | None]:
    return [
        tx.definition(names.API, function.tenant, names.version_id(function.id, number))
        for number in range(1, spec.latest_version + 1)
    ]


# --- who uses it ---------------------------------------------------------------------------------------------------


async def jobs_use(read: Reader, tenant: str, function: str, version: int | None = None) -> bool:
    """Whether a job that has not ended names a function, or one version of it."""
    ended = Comparison("state", Op.IN, tuple(sorted(TERMINAL)))
    parts: list[Expression] = [
        Comparison("function_id", Op.EQ, function),
        Comparison("mode", Op.EQ, Mode.SCHEDULED.value),
        Not(ended),
    ]
    if version is not None:
        parts.append(Comparison("function_version", Op.EQ, version))
    return bool(await read.jobs(JobQuery(names.API, tenant, All(tuple(parts)), limit=1)))


async def executions_of(read: Reader, tenant: str, definition: str) -> int:
    """How many executions of a function, or of a version, are kept."""
    where = All((Comparison("definition", Op.EQ, definition), Comparison("mode", Op.EQ, Mode.ONCE.value)))
    return await read.count_jobs(JobQuery(names.API, tenant, where))
