"""How one face spells JSON: the settings with which encoders and decoders are compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import Message

from jobyard.rest.v1 import face_pb2, json_pb2
from jobyard_server.transcoding.codec.errors import Show, json_literal, python_literal


class Naming(Enum):
    """Which of a field's two names stands on the wire."""

    JSON = "json"
    """`orderId`, printed and read."""
    PROTO = "proto"
    """`order_id`, printed and read."""
    EITHER = "either"
    """`orderId` printed, both read: what proto3 JSON itself asks for."""


class Stray(Enum):
    """What happens to something that was not declared."""

    REJECT = "reject"
    IGNORE = "ignore"


class Unset(Enum):
    """What happens to a member whose field is not set; see jobyard.rest.v1.Unset."""

    OMIT = json_pb2.UNSET_OMIT
    ALWAYS = json_pb2.UNSET_ALWAYS
    NULL = json_pb2.UNSET_NULL
    DEFAULT = json_pb2.UNSET_DEFAULT


@dataclass(frozen=True, slots=True)
class Dialect:
    """The settings of one encoder or decoder; as it stands, proto3 JSON and nothing else."""

    naming: Naming = Naming.EITHER
    unknown_fields: Stray = Stray.REJECT
    unknown_words: Stray = Stray.REJECT
    """Enum words that nobody declared. Ignoring them hides mistakes: only proto3 JSON's own
    tests of lenient readers ask for it."""
    unset: Unset = Unset.OMIT
    profiles: frozenset[str] = frozenset()
    depth: int = 100
    """Deepest nesting of messages, map entries included. Protobuf's own parsers stop at 100."""
    print_status: Callable[[Message], object] | None = None
    """Prints a google.rpc.Status in a field marked `as_error`, as a tree."""
    show: Show = json_literal
    """Writes values that errors speak of."""

    @classmethod
    def of_face(
        cls,
        face: face_pb2.Face,
        profiles: Collection[str] = (),
        print_status: Callable[[Message], object] | None = None,
    ) -> Dialect:
        """Read the dialect that a face declares."""
        proto_names = face.naming == face_pb2.NAMING_PROTO
        lax = face.unknown_fields == json_pb2.STRICTNESS_IGNORE
        return cls(
            naming=Naming.PROTO if proto_names else Naming.JSON,
            unknown_fields=Stray.IGNORE if lax else Stray.REJECT,
            unset=unset_of(face.unset) or Unset.OMIT,
            profiles=frozenset(profiles),
            print_status=print_status,
            show=python_literal if face.literals == face_pb2.LITERALS_PYTHON else json_literal,
        )


PROTO3 = Dialect()
"""Proto3 JSON as its specification says."""


def unset_of(declared: int) -> Unset | None:
    """Turn the declared enum value into ours, or into nothing when it was not declared."""
    return Unset(declared) if declared else None
