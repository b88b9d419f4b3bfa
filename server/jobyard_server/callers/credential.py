"""What a caller shows to prove who it is, before anybody has looked whether it is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a credential is to be understood."""

    TOKEN = "TOKEN"  # noqa: S105 - a kind, not a secret
    """A bearer token: whoever holds it is the caller."""
    BASIC = "BASIC"
    """User and password, still in base64."""
    CERTIFICATE = "CERTIFICATE"
    """The certificate of the connection as PEM, which the transport has verified."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential."""

    kind: Kind
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a credential is looked for."""

    header: str
    """Name of the header, in lower case."""
    scheme: str
    """Word in front of the value, in lower case; empty where the whole value is a token."""


AUTHORIZATION = Place("authorization", "bearer")
"""Where every gRPC client puts its token."""

_KINDS = {"basic": Kind.BASIC}


def present(metadata: Mapping[str, str | bytes], places: tuple[Place, ...]) -> Credential | None:
    """The first credential that the request carries, empty when its scheme is not one that is taken there."""
    found: Credential | None = None
    for place in places:
        text = metadata.get(place.header)
        if not isinstance(text, str):
            continue
        if not place.scheme:
            return Credential(Kind.TOKEN, text.strip())
        scheme, _, value = text.strip().partition(" ")
        if scheme.lower() == place.scheme:
            return Credential(_KINDS.get(place.scheme, Kind.TOKEN), value.strip())
        # Something was shown, so the caller is not anonymous; it matches nobody.
        found = found or Credential(Kind.TOKEN, "")
    return found
