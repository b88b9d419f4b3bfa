"""How much the transcoder takes from one client, and from all of them together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a request; each is refused with its own status before anything of that size is kept."""

    url_bytes: int = 16 * 1024
    """Path and query: beyond, 414."""
    headers: int = 100
    """Number of header lines: beyond, 431."""
    header_bytes: int = 64 * 1024
    """All header lines together: beyond, 431."""
    parameters: int = 256
    """Parameters in one query or form: beyond, 400."""
    body_bytes: int = 4 * 1024 * 1024
    """One body after decompression, where neither method nor face says: beyond, 413."""
    most_body_bytes: int = 64 * 1024 * 1024
    """What methods and faces may raise it to."""
    bodies_bytes: int = 256 * 1024 * 1024
    """All bodies in memory at once: beyond, 429."""
    body_seconds: float = 30.0
    """Silence while a body arrives: beyond, 408."""
    depth: int = 64
    """Nesting of JSON: beyond, 400."""
    parts: int = 64
    """Parts of a multipart body: beyond, 400."""
    line_bytes: int = 1024 * 1024
    """One message in a stream of requests, a line or an item of the array: beyond, 413."""
