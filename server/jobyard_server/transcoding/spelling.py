"""Turns the proto path of a field into what the client wrote: the names of the wire, without the body's own field."""

from __future__ import annotations

import re
from collections.abc import Callable

from google.protobuf.descriptor import Descriptor

from jobyard_server.transcoding.codec.declared import is_map, names_of
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
                bound = depth == 0 and body != "*"
                word = label(field, dialect) if bound else next(names_of(field, dialect.naming))
                names.append(word + brackets)
            at = field.message_type
            if at is not None and is_map(field):
                at = at.fields_by_name["value"].message_type
        spelled = ".".join(names)
        return spelled or (path if not inside_body else "")

    return spell
