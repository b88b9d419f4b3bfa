"""Addresses that are called: which texts are URLs of a peer, and which destination each belongs to."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

PORTS: Final = {"http": 80, "https": 443}
MAX_ADDRESS: Final = 8192


def destination_of(address: str) -> str:
    """Scheme, host and port of a URL, all in one spelling; ``ValueError`` says what is wrong with the URL."""
    if len(address) > MAX_ADDRESS:
        raise ValueError(f"has more than {MAX_ADDRESS} characters")
    if not address.isascii() or not address.isprintable() or " " in address:
        raise ValueError("has characters that a URL spells with %")
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in PORTS:
        raise ValueError("is no absolute URL of http or https")
    if not host or "\\" in parts.netloc:
        raise ValueError("names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds credentials")
    if port == 0:
        raise ValueError("names port 0")
    # A trailing dot names the same host.
    name = f"[{host}]" if ":" in host else host.removesuffix(".")
    return f"{parts.scheme}://{name}:{port or PORTS[parts.scheme]}"
