"""FunctionService: functions and their packages, created, changed and removed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any, Final

from google.api.httpbody_pb2 import HttpBody
from typing_extensions import override

from jobyard.qinling.v1 import function_pb2, function_service_pb2, function_service_pb2_grpc
from jobyard_server.apis.qinling import mapping, names, refusals, registry, runtimes, scope
from jobyard_server.apis.qinling.functions import (
    CPU,
    MEMORY,
    TIMEOUT,
    AliasSpec,
    FunctionSpec,
    find_function,
    functions_of,
    records_of,
)
from jobyard_server.apis.registration import Options
from jobyard_server.domain.catalog import Definition, NewDefinition
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Store, Tx

SOURCES: Final = ("package", "swift", "image")
JOBS_USE: Final = "The function is still associated with running job(s)."

_RANGES: Final = {
    "cpu": ("cpu", CPU, "millicpu"),
    "memory_size": ("memory", MEMORY, "bytes"),
    "timeout": ("timeout", TIMEOUT, "seconds"),
}


class FunctionService(function_service_pb2_grpc.FunctionServiceServicer):
    """Answers calls about functions."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def CreateFunction(
        self, request: function_service_pb2.CreateFunctionRequest, context: object
    ) -> function_service_pb2.CreateFunctionResponse:
        call = scope.current_call()
        said = _said(request)
        if "code" not in said:
            raise refusals.wrong("code", "Required param is missing. Required: {'code'}")
        if not request.runtime_id:
            raise refusals.wrong("runtime_id", '"runtime_id" must be specified.')
        runtime = await runtimes.find(self._store.read, call, request.runtime_id)
        code = said.pop("code")
        if code.get("source") not in SOURCES:
            raise refusals.wrong(
                "code", f"Invalid code source specified, available sources: {', '.join(SOURCES)}"
            )  # fmt: skip
        if code["source"] != "package":
            raise refusals.wrong("code", f"Functions of {code['source']} type are not supported here; use a package.")
        package = await asyncio.to_thread(registry.examined, request.package, str(code.get("md5sum", "")))
        spec = FunctionSpec(
            **{"name": None, **said},
            runtime_id=request.runtime_id,
            code={"source": "package", "md5sum": package.md5sum},
            sha256=package.sha256,
        )
        id_ = names.new_id()

        def create(tx: Tx) -> Definition:
            token = registry.keep_package(tx, self._store.signer, call.tenant, id_, 0, package)
            kept = dataclasses.replace(spec, package=token)
            return tx.put_definition(
                NewDefinition(
                    names.API, call.tenant, call.user, id_, kind=names.FUNCTION,
                    display_name=spec.name or "", queue=runtime.queue, spec=kept.text(),
                )
            )  # fmt: skip

        definition = await self._store.run(create)
        return function_service_pb2.CreateFunctionResponse(function=mapping.function_message(definition, 0))

    @override
    async def ListFunctions(
        self, request: function_service_pb2.ListFunctionsRequest, context: object
    ) -> function_service_pb2.ListFunctionsResponse:
        project = request.project_id if request.HasField("project_id") else None
        seen = scope.seen(scope.current_call(), all_projects=request.all_projects, project_id=project)
        found = functions_of(self._store.read, seen)
        shown = await scope.told(await self._message(each) async for each in found)
        return function_service_pb2.ListFunctionsResponse(functions=shown)

    @override
    async def GetFunction(
        self, request: function_service_pb2.GetFunctionRequest, context: object
    ) -> function_service_pb2.GetFunctionResponse:
        call = scope.current_call()
        definition = await find_function(self._store.read, call.tenant, request.id)
        if not request.download:
            return function_service_pb2.GetFunctionResponse(function=await self._message(definition))
        content = await self._store.read.blob(names.package_name(call.tenant, definition.id, 0))
        return function_service_pb2.GetFunctionResponse(package=HttpBody(data=content or b""), file_name=definition.id)

    @override
    async def UpdateFunction(
        self, request: function_service_pb2.UpdateFunctionRequest, context: object
    ) -> function_service_pb2.UpdateFunctionResponse:
        call, read = scope.current_call(), self._store.read
        said = _said(request)
        before = FunctionSpec.of((await find_function(read, call.tenant, request.id)).spec)
        code = said.pop("code", {})
        package = await self._changed_package(request.package, code, before)
        if (package or code or said.keys() - {"name", "description", "timeout"}) and await registry.jobs_use(
            read, call.tenant, request.id
        ):
            raise refusals.in_use(JOBS_USE)

        def update(tx: Tx) -> Definition:
            definition = registry.locked_function(tx, call.tenant, request.id)
            before = FunctionSpec.of(definition.spec)
            spec = dataclasses.replace(before, **said)
            if package is not None:
                token = registry.keep_package(tx, self._store.signer, call.tenant, request.id, 0, package)
                code = {"source": "package", "md5sum": package.md5sum}
                spec = dataclasses.replace(spec, package=token, sha256=package.sha256, code=code)
            if spec == before:
                return definition
            return registry.put_function(tx, definition, spec, definition.queue, call.user)

        definition = await self._store.run(update)
        return function_service_pb2.UpdateFunctionResponse(function=await self._message(definition))

    async def _changed_package(
        self, content: bytes, code: dict[str, Any], before: FunctionSpec
    ) -> registry.Package | None:
        if code.get("source", "package") != "package":
            raise refusals.wrong("code", "The function code type can not be changed.")
        if not content:
            return None
        expected = str(code.get("md5sum", ""))
        if expected and expected == before.code.get("md5sum"):
            raise refusals.wrong("code", "The function code checksum is not changed.")
        return await asyncio.to_thread(registry.examined, content, expected)

    @override
    async def DeleteFunction(
        self, request: function_service_pb2.DeleteFunctionRequest, context: object
    ) -> function_service_pb2.DeleteFunctionResponse:
        call, id_ = scope.current_call(), names.path_id(request.id)
        await find_function(self._store.read, call.tenant, id_)
        await self._refuse_used(call, id_)
        await self._store.run(lambda tx: registry.drop_function(tx, registry.locked_function(tx, call.tenant, id_)))
        return function_service_pb2.DeleteFunctionResponse()

    async def _refuse_used(self, call: Call, function: str) -> None:
        read = self._store.read
        if await registry.jobs_use(read, call.tenant, function):
            raise refusals.in_use(JOBS_USE)
        for kind, things in ((names.WEBHOOK, "webhook(s)"), (names.ALIAS, "function alias(es)")):
            async for each in records_of(read, scope.Seen(call.tenant), kind):
                if AliasSpec.of(each.body).function_id == function:
                    raise refusals.in_use(f"The function is still associated with {things}.")

    async def _message(self, definition: Definition) -> function_pb2.Function:
        count = await registry.executions_of(self._store.read, definition.tenant, definition.id)
        return mapping.function_message(definition, count)


def _said(
    request: function_service_pb2.CreateFunctionRequest | function_service_pb2.UpdateFunctionRequest,
) -> dict[str, Any]:
    """What a form says; a field that is not there says nothing."""
    found: dict[str, Any] = {}
    for name in ("name", "description", "entry"):
        if request.HasField(name):
            found[name] = getattr(request, name)
    if "entry" in found:
        _check_entry(found["entry"])
    for name, (word, (_, least, most), unit) in _RANGES.items():
        if request.HasField(name):  # type: ignore[arg-type] # one of its fields
            found[name] = _whole(name, word, getattr(request, name), least, most, unit)
    if request.code:
        found["code"] = _code(request.code)
    return found


def _check_entry(entry: str) -> None:
    module, dot, function = entry.rpartition(".")
    if not dot or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise refusals.wrong("entry", f"Invalid entry: {entry}. It names a module and a function, as main.main does.")


def _whole(field: str, word: str, text: str, least: int, most: int, unit: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise refusals.wrong(field, f"Invalid {word} resource specified. An integer is required.") from None
    if not least <= value <= most:
        raise refusals.wrong(
            field, f"{word} resource limitation not within the allowable range: {least} ~ {most}({unit})."
        )
    return value


def _code(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise refusals.wrong("code", "Invalid input, code is not a JSON object.")
    return found
