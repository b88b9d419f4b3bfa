"""Pages of a list: where one ended, sealed into a token that is bound to its filter and order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.reason import Reason, Violation, refuse

if TYPE_CHECKING:
    from jobyard_server.domain.job import Attribute
    from jobyard_server.domain.signing import Signer

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000
MOST_BYTES: Final = 3_584 * 1024
"""What the parts of one answer may have in all: clients of gRPC take 4 MiB unless told otherwise."""
ITEM_BYTES: Final = 1024
"""What a part has beside its texts, at most."""

_PURPOSE: Final = "page"


def page_size(asked: int) -> int:
    """How many rows a page has: the usual size when nothing was asked, and never more than the largest one."""
    return min(asked, MAX_SIZE) if asked > 0 else DEFAULT_SIZE


def byte_size(text: str) -> int:
    """The size of a text as it is sent."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended."""

    after: tuple[Attribute, ...]
    """Sort values of the last row seen."""
    at_most_number: int | None = None
    """The highest number there was at the first page: an ascending walk ends although rows arrive."""


def fingerprint(*parts: object) -> str:
    """A short digest of what must stay the same from page to page: scope, filter, order.

    The parts are values with a faithful ``repr``: strings, integers, ``None``, tuples, our frozen dataclasses.
    """
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def seal_page(signer: Signer, bound_to: str, cursor: Cursor) -> str:
    """The token of the page after ``cursor``."""
    return signer.seal(_PURPOSE, [bound_to, cursor.at_most_number, *cursor.after])


def open_page(signer: Signer, bound_to: str, token: str, *, field: str = "page_token") -> Cursor:
    """The cursor in a token; raises ``Refused`` (INVALID_PAGE_TOKEN) when damaged or made for another list."""
    try:
        made_for, at_most_number, *after = signer.open(_PURPOSE, token)
    except ValueError:
        problem = "is not a token of this server; start again without it"
    else:
        if made_for == bound_to:
            return Cursor(tuple(after), at_most_number)  # type: ignore[arg-type] # as seal_page wrote them
        problem = "belongs to a list with another filter or order; send the token with the same ones, or start again"
    raise refuse(Reason.INVALID_PAGE_TOKEN, f"{field} {problem}", Violation(field, problem))
