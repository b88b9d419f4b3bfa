"""One HTTP request as the transcoder sees it, checked against the limits before anything else looks at it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import MutableMapping
from typing import Any, Final

from jobyard_server.transcoding.failures import Scene
from jobyard_server.transcoding.headers import Headers, joined
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.refusals import refused

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = re.compile(r"[0-9]{1,8}(\.[0-9]{1,9})?")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Request:
    """Verb, path, query and headers of one request."""

    __slots__ = ("_public_url", "_scope", "headers", "lines", "path", "query", "request_id", "verb")

    def __init__(self, scope: MutableMapping[str, Any], public_url: str) -> None:
        self._scope = scope
        self._public_url = public_url
        self.verb: str = scope["method"]
        raw: bytes | None = scope.get("raw_path")
        query: bytes = scope["query_string"]
        # Servers that keep no raw path have decoded it already; its percent signs are then data.
        self.path: str = raw.decode("latin-1") if raw else scope["path"].replace("%", "%25")
        self.query: str = query.decode("latin-1")
        self.lines: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers: Headers = joined(self.lines)
        given = self.headers.get(b"x-request-id", b"")
        # Ids only have to differ: nothing is decided by them.
        self.request_id = (
            given.decode("ascii") if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        )

    def check(self, limits: Limits) -> None:
        """Refuse what is too large; raises RequestRefused."""
        if len(self.path) + len(self.query) > limits.url_bytes:
            most = limits.url_bytes
            raise refused("URL_TOO_LONG", f"the URL is longer than {most} bytes", limit=str(most))
        lines = self.lines
        if len(lines) > limits.headers or sum([len(name) + len(value) for name, value in lines]) > limits.header_bytes:
            raise refused("HEADERS_TOO_LARGE", "the request has too many or too long headers")

    def deadline(self) -> float | None:
        """Read the moment after which the client does not wait; raises RequestRefused."""
        grpc, plain = self.headers.get(b"grpc-timeout"), self.headers.get(b"x-server-timeout")
        if grpc is None and plain is None:
            return None
        if grpc is not None:
            match = _TIMEOUT.fullmatch(grpc.decode("latin-1"))
            if match is None:
                raise refused("TIMEOUT_MALFORMED", "Grpc-Timeout must be a number and a unit such as 5S or 300m")
            seconds = int(match[1]) * _UNITS[match[2]]
        else:
            assert plain is not None
            text = plain.decode("latin-1")
            if not _SECONDS.fullmatch(text):
                raise refused("TIMEOUT_MALFORMED", "X-Server-Timeout must be a number of seconds")
            seconds = float(text)
        return time.monotonic() + seconds

    @property
    def peer(self) -> str:
        """The address of the caller, written as gRPC writes it."""
        client = self._scope.get("client")
        if client is None:
            return "unix:"
        host, port = client[0], client[1]
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    @property
    def certificate(self) -> str:
        """The certificate of the client as PEM, where it had to show one; as ASGI's extension for TLS has it."""
        chain = self._scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
        return chain[0] if chain else ""

    @property
    def public_url(self) -> str:
        """Scheme and host of this server, as configured or as the client spoke to it."""
        if self._public_url:
            return self._public_url
        host = self.headers.get(b"host", b"").decode("latin-1")
        return f"{self._scope.get('scheme', 'http')}://{host if _HOST.fullmatch(host) else 'localhost'}"

    def scene(self) -> Scene:
        """Describe the request to an error."""
        trace = _TRACE.fullmatch(self.headers.get(b"traceparent", b"").decode("latin-1"))
        return Scene(
            path=self.path,
            method=self.verb,
            request_id=self.request_id,
            trace_id=trace[1] if trace is not None else "",
            public_url=self.public_url,
        )
