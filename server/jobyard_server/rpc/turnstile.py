"""Lets callers in as often, and as many of their calls at once, as the operator gives to each of them.

Two tables, one by the address a call comes from, which is looked at before its credentials, and one by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from time import monotonic
from typing import Final, Generic, TypeVar

from jobyard_server.callers.authentication import ANONYMOUS
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused

MOST: Final = 20_000
"""Callers or addresses whose rates are known at once; beyond that some that were quiet start afresh."""

Key = TypeVar("Key", bound="tuple[str, str] | str")


@dataclass(frozen=True, slots=True)
class Share:
    """What each one gets; 0 is no limit."""

    rate: float = 0.0
    """Calls a second, over time."""
    burst: int = 100
    """Calls that may come at once, when there were none for a while."""
    at_once: int = 0
    """Calls being served, streams included."""

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.rate > 0 or self.at_once > 0


UNLIMITED: Final = Share()


class _Table(Generic[Key]):
    """Everybody of one kind. Of each rate one number is kept: when the calls let in so far would be paid for."""

    def __init__(self, share: Share, who: str, clock: Callable[[], float]) -> None:
        self._who = who
        self._clock = clock
        self._interval = 1.0 / share.rate if share.rate > 0 else 0.0
        self._ahead = self._interval * (share.burst - 1)
        self._at_once = share.at_once
        self._paid: dict[Key, float] = {}
        self._open: dict[Key, int] = {}

    def enter(self, key: Key) -> None:
        """Let one in, or raise ``Refused``."""
        count = self._open.get(key, 0)
        if self._at_once and count >= self._at_once:
            raise self._refused(f"has {count} calls open, and no more may be", 1.0)
        if self._interval:
            now = self._clock()
            paid = max(self._paid.get(key, now), now)
            if paid - now > self._ahead + 1e-9:
                raise self._refused("calls too often", paid - now - self._ahead)
            if len(self._paid) >= MOST and key not in self._paid:
                self._forget(now)
            self._paid[key] = paid + self._interval
        if self._at_once:
            self._open[key] = count + 1

    def leave(self, key: Key) -> None:
        """Know that one has left."""
        if self._at_once:
            count = self._open[key] - 1
            if count:
                self._open[key] = count
            else:
                del self._open[key]

    def _forget(self, now: float) -> None:
        """Forget whoever owes nothing; when all do, those that came first."""
        kept = {key: paid for key, paid in self._paid.items() if paid > now}
        excess = len(kept) - MOST * 9 // 10
        for key in list(kept)[: max(0, excess)]:
            del kept[key]
        self._paid = kept

    def _refused(self, what: str, seconds: float) -> Refused:
        message = f"This {self._who} {what}. Send the request again later."
        return Refused(Refusal(Reason.TOO_MANY_REQUESTS, message, retry_after=seconds))


class Pass:
    """One call's way through the turnstile."""

    __slots__ = ("_address", "_caller", "_turnstile")

    def __init__(self, turnstile: Turnstile, peer: str) -> None:
        """Arrive from an address; raises ``Refused``."""
        self._turnstile = turnstile
        self._caller: tuple[str, str] | None = None
        self._address = address_of(peer)
        turnstile.addresses.enter(self._address)

    def known(self, principal: Principal) -> None:
        """Say who is calling; raises ``Refused``. Those who show nothing are told apart by their addresses alone."""
        if principal.user != ANONYMOUS:
            key = (principal.tenant, principal.user)
            self._turnstile.callers.enter(key)
            self._caller = key

    def leave(self) -> None:
        """Make room."""
        self._turnstile.addresses.leave(self._address)
        if self._caller is not None:
            self._turnstile.callers.leave(self._caller)


class Turnstile:
    """The tables of a server."""

    def __init__(self, address: Share, caller: Share, clock: Callable[[], float] = monotonic) -> None:
        """Take what each address gets, and each caller."""
        self.addresses: _Table[str] = _Table(address, "address", clock)
        self.callers: _Table[tuple[str, str]] = _Table(caller, "caller", clock)


def turnstile(address: Share, caller: Share) -> Turnstile | None:
    """A turnstile, where anything is to be limited."""
    return Turnstile(address, caller) if address.limits or caller.limits else None


def _network(host: str) -> str:
    """One client commonly has all addresses of a network of 64 bits."""
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(ip_network((address, 64), strict=False))


@lru_cache(maxsize=8192)
def address_of(peer: str) -> str:
    """Whose a peer is, as gRPC spells them: ``ipv4:10.0.0.1:53211``, ``ipv6:[::1]:53211``, ``ipv6:%5B::1%5D:53211``."""
    # A connection has one name and many calls, so it is read once.
    kind, _, rest = peer.partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0]
    if kind != "ipv6":
        return kind
    return _network(rest.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]").replace("%25", "%").strip("[]"))
