"""What things of this API are called in the store, and how clients name them."""

from __future__ import annotations

import uuid
from typing import Any, Final, Protocol
from urllib.parse import quote

from jobyard_server.apis.qinling import refusals

API: Final = "qinling"

FUNCTION: Final = "function"
"""Kind of the definition of a function as it is now; its id is the function's."""
VERSION: Final = "function-version"
"""Kind of the definition of a version; it refines the function's."""
RUNTIME: Final = "runtime"
"""Kind of executors."""
ALIAS: Final = "alias"
"""Kind of records, by the name of the alias."""
WEBHOOK: Final = "webhook"
"""Kind of records."""
ADDRESS: Final = "webhook-address"
"""Kind of records of nobody's: the project of each webhook, by its id."""
NOBODY: Final = ""

PYTHON: Final = "python"
"""Image of the runtime that is always there."""
PYTHON_RUNTIME: Final = "2c1f6f0e-93c5-5d39-9d2c-8a5c3b0f7d11"
"""Its id."""


def new_id() -> str:
    """A fresh identifier."""
    return str(uuid.uuid4())


def read_uuid(text: str) -> str:
    """A UUID that a client sent, in its spelling, which the look-up may not know; refused when it is none."""
    bare = text.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "").lower()
    try:
        if str(uuid.UUID(text)).replace("-", "") == bare:
            return text
    except ValueError:
        pass
    raise refusals.no_uuid(text)


class Naming(Protocol):
    """A request that may name a function, and what it wants its thing to be called."""

    id: str
    function_id: str

    def HasField(self, field_name: Any) -> bool:  # noqa: N802 - protobuf's name
        """Whether a field is there."""


def check_uuids(request: Naming) -> None:
    """Refuse what is no UUID in a request that creates something."""
    for name in ("id", "function_id"):
        if request.HasField(name):
            read_uuid(getattr(request, name))


def path_id(text: str, field: str = "id") -> str:
    """The same from a path."""
    if not text:
        raise refusals.missing_argument(field)
    try:
        return read_uuid(text)
    except refusals.Refused as refused:
        (violation,) = refused.refusal.violations
        raise refusals.no_uuid_in_path(field, text, violation.description) from None


def version_id(function: str, number: int) -> str:
    """Id of the definition of a version; of the function itself for 0."""
    return f"{function}.{number}" if number else function


def queue_of(image: str) -> str:
    """The queue whose workers run functions of a runtime."""
    return f"{API}/{image}"


def packages_of(tenant: str) -> str:
    """How the names of all packages of a project begin."""
    return f"{API}/{quote(tenant, safe='')}/"


def package_name(tenant: str, function: str, number: int) -> str:
    """Name under which a package is kept."""
    return f"{packages_of(tenant)}{function}/{number}"
