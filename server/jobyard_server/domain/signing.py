"""Seals positions (of a page, of a watch) into opaque tokens that nobody can read or forge."""

from __future__ import annotations

import base64
import binascii
import json
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES: Final = 32
MAX_TOKEN: Final = 16_384
_VERSION: Final = b"\x01"
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Signer:
    """One key for all tokens of one database.

    AES-SIV is deterministic: the same position always gives the same token, so a link may be compared and cached.
    """

    def __init__(self, key: bytes, epoch: str) -> None:
        self._key = key
        self.epoch = epoch
        """Changes when the positions of the database start anew, for example after it was moved or restored."""

    @cached_property
    def _cipher(self) -> AESSIV:
        # Loaded with the first position that is told: many servers take jobs and never tell one.
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415 - it is large

        return AESSIV(self._key)

    def seal(self, purpose: str, values: Sequence[object]) -> str:
        """Seal JSON values for one purpose; a token made for another one does not open."""
        text = _ENCODE(values).encode()
        sealed = self._cipher.encrypt(text, [_VERSION, purpose.encode()])
        return base64.urlsafe_b64encode(_VERSION + sealed).rstrip(b"=").decode()

    def open(self, purpose: str, token: str) -> list[object]:
        """The values sealed into a token; ``ValueError`` when it was not sealed here for this purpose."""
        if len(token) > MAX_TOKEN:
            raise ValueError("too long")
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ValueError("not base64url") from error
        # Unused trailing bits would let two spellings name one position.
        if raw[:1] != _VERSION or base64.urlsafe_b64encode(raw).rstrip(b"=") != token.encode():
            raise ValueError("not one of ours")
        text = _opened(self._cipher, raw[1:], [_VERSION, purpose.encode()])
        values: list[object] = json.loads(text)
        return values


def _opened(cipher: AESSIV, sealed: bytes, said: list[bytes]) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - the cipher has loaded it already

    try:
        return cipher.decrypt(sealed, said)
    except InvalidTag as error:
        raise ValueError("damaged") from error
