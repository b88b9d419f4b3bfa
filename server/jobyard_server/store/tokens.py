"""Lease tokens: which attempt, and the secret that proves who holds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final

_FORM: Final = re.compile(r"([1-9][0-9]{0,18})\.([1-9][0-9]{0,9})\.([0-9a-f]{24})\Z")
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart."""

    subjob: int
    attempt: int
    secret: str

    def text(self) -> str:
        """The token as its worker carries it."""
        return f"{self.subjob}.{self.attempt}.{self.secret}"

    def proves(self, digest: str) -> bool:
        """Whether the secret is the one kept as ``digest``; takes the same time whatever differs."""
        return compare_digest(digest_of(self.secret), digest)


def digest_of(secret: str) -> str:
    """What is stored of a secret: a thief of the database holds no lease."""
    return sha256(secret.encode()).hexdigest()


def token_of(text: str) -> Token | None:
    """Take a token apart; ``None`` for text that is none."""
    match = _FORM.match(text)
    if match is None or int(match[1]) > _LARGEST:
        return None
    return Token(int(match[1]), int(match[2]), match[3])
