"""Contracts: read from the spec of their definitions, checked when they are put, found when a job is submitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobyard.dataone.v1 import contract_pb2
from jobyard.rest.v1 import annotations_pb2
from jobyard_server.apis.dataone import mapping, variables
from jobyard_server.domain.catalog import Definition
from jobyard_server.domain.fields import INT64_MAX, INT64_MIN
from jobyard_server.domain.job import Attribute
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.ports import Reader

ON_DEMAND: Final = "OnDemand"
"""The trigger of actions that clients submit."""

SPEC: Final = "definition.spec"


@dataclass(frozen=True, slots=True)
class Action:
    """What a submit takes from its contract."""

    trigger: str
    variables: variables.Own
    attributes: Mapping[str, Attribute]
    """What is known of its jobs before they are submitted."""
    spec: str
    """The part of it that is neither filtered nor sorted by."""


async def find_action(read: Reader, call: Call, contract: str, action: str) -> tuple[Definition, Action]:
    """The action that a submit names, with the definition of its contract; ``Refused`` when it cannot be submitted."""
    definition = await read.definition(call.api, call.tenant, contract)
    if definition is None or definition.kind != mapping.CONTRACT_KIND:
        raise _unknown("contract_name", f"There is no contract {contract!r}.", contract=contract)
    found = actions(contract, definition.spec).get(action)
    if found is None:
        text = f"Contract {contract!r} has no action {action!r}."
        raise _unknown("action_name", text, contract=contract, action=action)
    if not definition.enabled:
        raise refuse(
            Reason.DEFINITION_DISABLED,
            f"Contract {contract!r} is disabled.",
            Violation("contract_name", "names a disabled contract"),
            definition=contract,
        )
    if found.trigger != ON_DEMAND:
        raise refuse(
            Reason.DEFINITION_NOT_ON_DEMAND,
            f"Action {action!r} of contract {contract!r} is started by its trigger {found.trigger!r}, not by a submit.",
            Violation("action_name", f"names an action whose trigger is not {ON_DEMAND}"),
            definition=contract,
            trigger=found.trigger,
        )
    return definition, found


def _unknown(field: str, text: str, **names: str) -> Refused:
    violation = Violation(field, f"names no {field.removesuffix('_name')}")
    return refuse(Reason.DEFINITION_REFERENCE_UNKNOWN, text, violation, definition=names["contract"], **names)


def check_contract(spec: str) -> Mapping[str, Attribute]:
    """Refuse a contract that no job could be made of."""
    actions("", spec)
    return {}


@lru_cache(maxsize=256)
def actions(name: str, spec: str) -> Mapping[str, Action]:
    """The actions of a contract. Remembered by what was read, so a changed contract never meets its old form."""
    text = json.loads(spec)
    contract = contract_pb2.Contract(**_fields(text, contract_pb2.Contract.DESCRIPTOR, SPEC))
    try:
        protovalidate.validate(contract)
    except protovalidate.ValidationError as error:
        field, _, problem = str(error).partition(": ")
        raise invalid(f"{SPEC}.{field}", problem) from None
    return {
        action.name: Action(
            trigger=action.trigger,
            variables=variables.own(json.loads(action.variables or "{}")),
            attributes=mapping.contract_attributes(name, contract, action),
            spec=mapping.contract_spec(action),
        )
        for action in contract.actions
    }


# --- from JSON to the message, with errors that name the place ---------------------------------------------------


def _fields(value: object, message: Descriptor, path: str) -> dict[str, Any]:
    """The fields of a message from a JSON object; refuses what the message does not declare."""
    if not isinstance(value, dict):
        raise invalid(path, "is not an object")
    fields = {}
    for name, inner in value.items():
        field = message.fields_by_name.get(name)
        if field is None:
            known = ", ".join(message.fields_by_name)
            raise invalid(f"{path}.{name}", f"is not known; there are {known}")
        fields[name] = _value(inner, field, f"{path}.{name}")
    return fields


def _value(value: object, field: FieldDescriptor, path: str) -> Any:
    if not field.is_repeated:
        return _one(value, field, path)
    if not isinstance(value, list):
        raise invalid(path, "is not a list")
    return [_one(item, field, f"{path}[{place}]") for place, item in enumerate(value)]


def _one(value: object, field: FieldDescriptor, path: str) -> Any:
    if field.GetOptions().Extensions[annotations_pb2.json].raw:
        return _raw_object(value, path)
    if field.message_type is not None:
        return _fields(value, field.message_type, path)
    if field.type == FieldDescriptor.TYPE_INT64:
        if isinstance(value, bool) or not isinstance(value, int) or not INT64_MIN <= value <= INT64_MAX:
            raise invalid(path, "is not an integer of 64 bits")
        return value
    if not isinstance(value, str):
        raise invalid(path, "is not a string")
    return value


def _raw_object(value: object, path: str) -> str:
    if not isinstance(value, dict):
        raise invalid(path, "is not an object")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise invalid(path, "holds a number that is too large") from None
