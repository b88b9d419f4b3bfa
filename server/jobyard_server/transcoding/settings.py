"""What the operator decides about the REST side, as against what the protos declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.router import MultiSegment


@dataclass(frozen=True, slots=True)
class Cors:
    """Which pages of other origins may call this server from a browser."""

    origins: frozenset[str] = frozenset()
    """Origins such as `https://console.example.com`; `*` allows all, without cookies. Empty: no page may."""
    max_age: int = 600
    """Seconds for which a browser may remember the answer to a preflight."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a Transcoder."""

    profiles: frozenset[str] = frozenset()
    """Names of the profiles that are on."""
    public_url: str = ""
    """Scheme and host under which clients reach the server: `https://jobs.example.com`. Empty: as the request says."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Context paths of faces that were moved, by the name of the face: `{"orders": "/shop/orders"}`."""
    absolute_locations: bool = False
    """`Location` carries scheme and host."""
    forward_headers: frozenset[str] = frozenset(
        {"user-agent", "traceparent", "tracestate", "accept-language", "idempotency-key"}
    )
    """Request headers that become metadata under their own name."""
    metadata_prefix: str = "grpc-metadata-"
    """Request headers that begin with it become metadata without it. Empty: none do."""
    response_metadata: frozenset[str] = frozenset()
    """Metadata of responses that become headers under their own name."""
    multi_segment: MultiSegment = MultiSegment.ALL_EXCEPT_SLASH
    """What is decoded in path variables of several segments."""
    compress_from: int = 1400
    """Bytes from which a body is compressed for clients that take gzip; below it would not save a packet."""
    compress_level: int = 5
    cors: Cors = field(default_factory=Cors)
    limits: Limits = field(default_factory=Limits)
    watch_after: float = 0.25
    """Seconds between two looks at the calls in progress for clients that went away; most calls are over before."""
    head_after: float = 1.0
    """Seconds for which the status line of a stream waits for the first response or a failure, once the request is
    read; what fails later is its last record."""
