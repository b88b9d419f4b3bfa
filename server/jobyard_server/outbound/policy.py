"""Which addresses may be called: everything public, and of what is private only what an operator allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: Final = ("127.0.0.0/8", "::1/128", "localhost")
"""What a server in development may call."""

_PRIVILEGED: Final = 1024
_WEB: Final = frozenset({80, 443})
_NAT64: Final = ip_network("64:ff9b::/96")
_PORT: Final = re.compile(r"(.*?):(\d{1,5})")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")


class AllowError(ValueError):
    """An entry of the allow list that is neither a network nor a host."""


class AddressRefused(Exception):  # noqa: N818 - says what happened, as Refused does
    """A call to an address that is not called."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """One entry of the list."""

    network: Network | None
    host: str
    port: int | None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        if self.network is not None:
            # Whoever lists all networks does not mean the address that tells clouds' secrets.
            return address in self.network and (not address.is_link_local or self.network.is_link_local)
        return fnmatchcase(host, self.host) and not address.is_link_local


class AddressPolicy:
    """Decides about host, address and port of a call, after the name was resolved."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed = tuple(_entry(text.strip().lower()) for text in allow)

    def check(self, host: str, address: str, port: int) -> None:
        """Raise AddressRefused unless ``address``, which ``host`` resolved to, may be called at ``port``."""
        meant = _meant(ip_address(address.partition("%")[0]))
        if any(entry.covers(host, meant, port) for entry in self._allowed):
            return
        if not meant.is_global or meant.is_multicast:
            raise AddressRefused(f"{host} is at {meant}, which is not public, and nobody allowed it")
        if port < _PRIVILEGED and port not in _WEB:
            raise AddressRefused(f"port {port} is not one of the web, and nobody allowed it")


def _entry(text: str) -> _Allowed:
    for rest, port in _readings(text):
        try:
            return _Allowed(ip_network(rest.removeprefix("[").removesuffix("]"), strict=False), "", port)
        except ValueError:
            if _HOST.fullmatch(rest):
                return _Allowed(None, rest, port)
    raise AllowError(f"{text!r} is neither a network, such as 10.1.0.0/16, nor a host, such as *.example.org")


def _readings(text: str) -> list[tuple[str, int | None]]:
    """The ways to read an entry: all of it, or with a port at its end, which an IPv6 address has in brackets only."""
    found = _PORT.fullmatch(text)
    ported = [(found[1], int(found[2]))] if found and (":" not in found[1] or found[1].endswith("]")) else []
    return [*ported, (text, None)]


def _meant(address: Address) -> Address:
    """The address that is reached in the end, where one is written inside another."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
