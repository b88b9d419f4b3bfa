"""Who a database is: the key that its tokens are sealed with, and the epoch of its positions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.signing import KEY_BYTES, Signer

if TYPE_CHECKING:
    from jobyard_server.store.sets import Sets

_KEEP: Final = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
_KNOWN: Final = "SELECT value FROM meta WHERE name = ?"


def signer_of(sets: Sets) -> Signer:
    """The signer of a database, made at the first call and the same ever after; within a transaction."""
    key = _made_once(sets, "token_key", os.urandom(KEY_BYTES).hex())
    return Signer(bytes.fromhex(key), _made_once(sets, "epoch", os.urandom(8).hex()))


def _made_once(sets: Sets, name: str, value: str) -> str:
    sets.run(_KEEP, (name, value))
    ((found,),) = sets.all(_KNOWN, (name,))
    return str(found)
