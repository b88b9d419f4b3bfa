"""Providers: executors that run the jobs whose definition names them as its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobyard.viya.v1 import provider_pb2
from jobyard_server.apis.viya import names
from jobyard_server.apis.viya.durations import seconds_of
from jobyard_server.domain.catalog import Executor
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, Violation, invalid, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Reader

MOST_SECONDS: Final = 2**31 - 1
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Provider:
    """Who runs the jobs of one type."""

    id: str
    queue: str
    heartbeat_interval: int
    """Seconds; 0: nobody listens."""
    expires_after: str
    """Empty: as the server says."""

    @classmethod
    def of(cls, executor: Executor) -> Provider:
        """Read it from its executor."""
        spec = json.loads(executor.spec)
        return cls(
            id=executor.id,
            queue=executor.queue or f"{names.QUEUE}{executor.id}",
            heartbeat_interval=spec.get("heartbeatInterval", 0),
            expires_after=spec.get("expiresAfter", ""),
        )

    def message(self, *, whole: bool) -> provider_pb2.Provider:
        """The provider as clients see it."""
        if not whole:
            return provider_pb2.Provider(id=self.id, version=1)
        return provider_pb2.Provider(
            id=self.id,
            heartbeat_interval=self.heartbeat_interval,
            expires_after=self.expires_after,
            version=1,
        )


def check_provider(spec: str) -> Mapping[str, Attribute]:
    """Refuse a provider that says something about itself that nobody understands."""
    said = json.loads(spec)
    for name, value in said.items():
        match name:
            case "heartbeatInterval":
                if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_SECONDS:
                    raise invalid("executor.spec.heartbeatInterval", "is a whole number of seconds, or 0")
            case "expiresAfter":
                try:
                    seconds_of(value if isinstance(value, str) else "")
                except ValueError as problem:
                    raise invalid("executor.spec.expiresAfter", str(problem)) from None
            case _:
                raise invalid(f"executor.spec.{name}", "is not known; there are heartbeatInterval and expiresAfter")
    return {}


async def provider_of(read: Reader, call: Call, type_: str) -> Provider:
    """The provider of a type; ``Refused`` when there is none that takes new work."""
    executor = await read.executor(names.API, call.tenant, type_)
    if executor is None or executor.kind != names.PROVIDER or not executor.enabled:
        raise refuse(
            Reason.EXECUTOR_REFERENCE_UNKNOWN,
            f"There is no provider {type_!r}.",
            Violation("jobDefinition.type", "names no provider"),
            executor=type_,
        )
    return Provider.of(executor)


async def providers(read: Reader, call: Call) -> list[Provider]:
    """All providers; an operator loads them, so they are few."""
    found: list[Provider] = []
    after: tuple[str, str, str] | None = None
    while True:
        page = await read.executors(names.API, call.tenant, after=after, limit=_PAGE)
        found += [Provider.of(one) for one in page if one.kind == names.PROVIDER]
        if len(page) < _PAGE:
            return found
        after = (page[-1].api, page[-1].tenant, page[-1].id)
