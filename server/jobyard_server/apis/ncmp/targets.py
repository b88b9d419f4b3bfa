"""Targets, as they are kept: one record for each, and one that leads from its alternate id to where it is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from jobyard_server.apis.ncmp.dmi_calls import check_dmi_url
from jobyard_server.apis.ncmp.nouns import API, REFERENCE, TARGET
from jobyard_server.apis.ncmp.routing import Route
from jobyard_server.domain.catalog import Record
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse
from jobyard_server.usecases.ports import Tx

_TEXTS: Final = {
    "alternateId": "alternate_id",
    "dmiService": "dmi",
    "dmiDatajobsReadService": "read",
    "dmiDatajobsWriteService": "write",
    "dataProducerIdentifier": "producer",
    "moduleSetTag": "tag",
}
_READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Target:
    """Something in a network that data jobs read and write."""

    id: str
    alternate_id: str = ""
    dmi: str = ""
    read: str = ""
    write: str = ""
    producer: str = ""
    tag: str = ""
    ready: bool = True

    @property
    def route(self) -> Route:
        """Where its operations go."""
        return Route(self.dmi, self.read, self.write, self.producer, self.tag, self.ready)

    @property
    def body(self) -> str:
        """As it is kept, and as operators write it."""
        texts = {name: getattr(self, field) for name, field in _TEXTS.items() if getattr(self, field)}
        return orjson.dumps({**texts, _READY: self.ready}).decode()


def target(record: Record) -> Target:
    """A target from what is kept of it."""
    return parsed(record.id, record.body)


def parsed(id_: str, body: str) -> Target:
    """A target out of a record's body; raises ``Refused`` for one that is none."""
    said = orjson.loads(body)
    if not isinstance(said, dict):
        raise invalid("record.body", "must be an object")
    if unknown := sorted(said.keys() - _TEXTS.keys() - {_READY}):
        raise invalid(f"record.body.{unknown[0]}", f"is none of {', '.join((*_TEXTS, _READY))}")
    texts: dict[str, str] = {}
    for name, field in _TEXTS.items():
        value = said.get(name, "")
        if not isinstance(value, str):
            raise invalid(f"record.body.{name}", "must be a text")
        texts[field] = value.strip()
    ready = said.get(_READY, True)
    if not isinstance(ready, bool):
        raise invalid("record.body.ready", "must be true or false")
    return Target(id_, **texts, ready=ready)


def check_target(body: str, url_pattern: str = "") -> Mapping[str, Attribute]:
    """The check of a target that an operator loads."""
    found = parsed("", body)
    if not (found.dmi or found.read or found.write):
        raise invalid("record.body.dmiService", "is missing")
    for name in ("dmiService", "dmiDatajobsReadService", "dmiDatajobsWriteService"):
        check_dmi_url(getattr(found, _TEXTS[name]), f"record.body.{name}", url_pattern)
    return {"alternate_id": found.alternate_id or None, "producer": found.producer or None}


def check_no_reference(_body: str) -> Mapping[str, Attribute]:
    """References follow from targets: nobody writes them."""
    raise invalid("record.kind", f"{REFERENCE} follows from {TARGET}")


def find(tx: Tx, tenant: str, id_: str) -> Target | None:
    """One target, locked."""
    record = tx.record(API, tenant, TARGET, id_)
    return None if record is None else target(record)


def taken(tx: Tx, tenant: str, alternate_id: str, by: str) -> bool:
    """Whether an alternate id or an identifier is the alternate id of another target, or the identifier of one."""
    reference = tx.record(API, tenant, REFERENCE, alternate_id)
    if reference is not None and reference.attributes.get("target") != by:
        return True
    return alternate_id != by and tx.record(API, tenant, TARGET, alternate_id) is not None


def put(tx: Tx, tenant: str, new: Target, *, by: str) -> None:
    """Create or replace a target whose alternate id is free."""
    attributes = {"alternate_id": new.alternate_id or None, "producer": new.producer or None}
    tx.put_record(API, tenant, TARGET, new.id, new.body, attributes=attributes, by=by)
    refer(tx, tenant, new, by=by)


def refer(tx: Tx, tenant: str, found: Target, *, by: str) -> None:
    """Let the alternate id of a target lead to where it is served."""
    if found.alternate_id:
        attributes = {"target": found.id}
        tx.put_record(API, tenant, REFERENCE, found.alternate_id, found.route.body, attributes=attributes, by=by)


def remove(tx: Tx, tenant: str, found: Target) -> None:
    """Remove a target."""
    tx.delete_record(API, tenant, TARGET, found.id)
    if found.alternate_id:
        tx.delete_record(API, tenant, REFERENCE, found.alternate_id)


def follow(tx: Tx, before: Record | None, after: Record | None) -> None:
    """Keep the reference of a target that an operator put or removed in step; refuses an alternate id that is taken."""
    old = None if before is None else target(before)
    record = after or before
    assert record is not None
    new = None if after is None else target(after)
    if old is not None and old.alternate_id and (new is None or new.alternate_id != old.alternate_id):
        tx.delete_record(API, record.tenant, REFERENCE, old.alternate_id)
    if new is None:
        return
    if new.alternate_id and taken(tx, record.tenant, new.alternate_id, new.id):
        raise alternate_id_taken(new.alternate_id)
    refer(tx, record.tenant, new, by=record.created_by)


def alternate_id_taken(alternate_id: str) -> Refused:
    """The refusal of an alternate id that another target has."""
    return refuse(
        Reason.ALREADY_EXISTS,
        f"The alternate id {alternate_id!r} is that of another target.",
        Violation("record.body.alternateId", "is that of another target"),
    )


def changed(before: Target, **fields: str) -> Target:
    """A target with what an update says of it; empty fields leave it as it is."""
    said = {name: value.strip() for name, value in fields.items() if value.strip()}
    return replace(before, **said)  # type: ignore[arg-type] # all of them are texts
