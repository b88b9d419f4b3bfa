"""The identity of a submit: which requests stand for one job, and whether they asked for the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from typing_extensions import override

_TAG: Final = b"dataone.ipid.v1\0"


def ipid(user: str, contract: str, action: str, ext_ipid: str) -> str:
    """The digest of the four parts of a key.

    Each part stands behind its length, so no two keys share an input: joined with a separator, the action ``B|C`` with
    the key ``x`` would be the action ``B`` with the key ``C|x``.
    """
    digest = hashlib.sha256(_TAG)
    for part in (user, contract, action, ext_ipid):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.hexdigest()


def fingerprint(variables: str) -> str:
    """A digest of variables: the same for the same JSON in another order or with other blanks.

    Numbers count as they are spelled: two that differ beyond the precision of a double are two.
    """
    said = json.loads(variables, parse_int=_Spelled, parse_float=_Spelled, object_pairs_hook=_by_name)
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()


class _Spelled(str):
    """A number as it is written; unlike a text of the same letters it prints without quotes."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return str(self)


def _by_name(members: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    # A tuple, so that an object never prints like a list.
    return tuple(sorted(dict(members).items(), key=lambda member: member[0]))
