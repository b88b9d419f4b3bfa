"""Turns the proto path of a field into what the client wrote: the names of the wire, without the body's own field."""

from __future__ import annotations

import re
from collections.abc import Callable

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard_server.transcoding.codec.declared import is_header, is_map, names_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.query import label

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[[^\]]*\])*)(?:\.|$)")


def speller(request: Descriptor, body: str, dialect: Dialect) -> Callable[[str], str]:
    """Compile the translation for the requests of one route; what cannot be resolved stays as it is."""

    def spell(path: str) -> str:
        names: list[str] = []
        at: Descriptor | None = request
        inside_body = False
        for depth, (name, brackets) in enumerate(_STEP.findall(path)):
            field = at.fields_by_name.get(name) if at is not None else None
            if field is None:
                return path
            if depth == 0 and name == body:
                inside_body = True
                if brackets:
                    names.append(brackets)
            else:
                names.append(_word(field, dialect, bound=depth == 0, whole_body=body == "*") + brackets)
            at = field.message_type
            if at is not None and is_map(field):
                at = at.fields_by_name["value"].message_type
        spelled = ".".join(names)
        return spelled or (path if not inside_body else "")

    return spell


def _word(field: FieldDescriptor, dialect: Dialect, *, bound: bool, whole_body: bool) -> str:
    """The name of one field, which outside a body is that of a header or of a parameter."""
    if bound and is_header(field):
        return str(field.GetOptions().Extensions[rest.header].name)
    return label(field, dialect) if bound and not whole_body else next(names_of(field, dialect.naming))
