"""Calls peers over HTTP: resolves and checks where a call goes, never follows redirects, reads bounded answers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from jobyard_server.domain.address import PORTS
from jobyard_server.domain.delivery import Answer, AnswerBrokeError, OpenAnswer, Problem
from jobyard_server.outbound.policy import AddressRefused
from jobyard_server.outbound.signing import signature_headers

if TYPE_CHECKING:
    from jobyard_server.domain.delivery import HttpCall
    from jobyard_server.outbound.policy import AddressPolicy
    from jobyard_server.outbound.token_file import TokenFile

MAX_HEADERS: Final = 64
CONNECT_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 2.0
"""Shorter than any server's we know of, so that no call goes into a connection that is just being closed."""
DNS_SECONDS: Final = 10
DNS_THREADS: Final = 16
PIECE_BYTES: Final = 256 * 1024
MOST_REFUSAL: Final = 64 * 1024
"""So much is kept of an answer whose pieces are not given, as the peer did not do what it was asked."""
JSON: Final = "application/json"
USER_AGENT: Final = "jobyard"


class CheckedResolver(AbstractResolver):
    """Resolves names and drops the addresses that may not be called.

    What it returns is what is connected to, so that a name cannot mean one address when it is checked and another
    one afterwards. It has threads of its own: names that nobody answers for would take those of everybody.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="outbound-dns")

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        allowed: list[ResolveResult] = []
        refused = AddressRefused(f"{host} has no address")
        for kind, _, proto, _, place in found:
            try:
                self._policy.check(host, str(place[0]), port)
            except AddressRefused as problem:
                refused = problem
                continue
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            allowed.append(
                ResolveResult(hostname=host, host=str(place[0]), port=port, family=kind, proto=proto, flags=flags)
            )
        if not allowed:
            raise refused
        return allowed

    @override
    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))


class HttpClient:
    """One pool of connections to all peers; open while it is entered."""

    def __init__(self, policy: AddressPolicy, token_file: TokenFile, proxy: str = "") -> None:
        self._policy = policy
        self._token_file = token_file
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Begin; in a running event loop."""
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._policy),
            ttl_dns_cache=DNS_SECONDS,
            # How much is sent at once is bounded where deliveries are claimed.
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            skip_auto_headers={"Content-Type"},
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, call: HttpCall, uid: str, seconds: float) -> Answer:
        """Make a call, and say what came back; it takes no longer than ``seconds``."""
        try:
            async with asyncio.timeout(seconds), self._exchange(call, uid) as response:
                return await _whole(response, call.answer_bytes)
        except _TROUBLE as problem:
            return _failure(problem, seconds)

    @asynccontextmanager
    async def open_call(self, call: HttpCall, uid: str, seconds: float) -> AsyncIterator[OpenAnswer]:
        """Make a call, and give the body of its answer while it comes; each piece takes no longer than ``seconds``."""
        async with AsyncExitStack() as stack:
            yield await self._opened(stack, call, uid, seconds)

    async def _opened(self, stack: AsyncExitStack, call: HttpCall, uid: str, seconds: float) -> OpenAnswer:
        try:
            async with asyncio.timeout(seconds):
                response = await stack.enter_async_context(self._exchange(call, uid))
                if not 200 <= response.status < 300:
                    return OpenAnswer(await _whole(response, MOST_REFUSAL))
        except _TROUBLE as problem:
            return OpenAnswer(_failure(problem, seconds))
        if (response.content_length or 0) > call.answer_bytes:
            return OpenAnswer(_too_long(call.answer_bytes))
        return OpenAnswer(_head(response), _pieces(response.content, call.answer_bytes, seconds))

    @asynccontextmanager
    async def _exchange(self, call: HttpCall, uid: str) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise OSError("the client is closed")
        self._check_literal(call.url)
        # Behind a proxy a name is the proxy's to resolve; what is connected to, and checked, is the proxy.
        proxy = self._proxy if call.by_proxy else ""
        if proxy:
            self._check_literal(proxy)
        request = self._session.request(
            call.method,
            URL(call.url, encoded=True),
            data=call.body or (call.pieces() if call.pieces is not None else None),
            headers=self._headers(call, uid),
            allow_redirects=False,
            proxy=proxy or None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        async with request as response:
            try:
                yield response
            finally:
                if not response.content.at_eof():
                    # What is left is not read: the connection cannot be used again.
                    response.close()

    def _check_literal(self, url: str) -> None:
        """An address that is written as one is not resolved, and so would not be checked."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
        except OSError:
            return
        ((*_, place), *_) = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)
        self._policy.check(host, str(place[0]), parts.port or PORTS[parts.scheme])

    def _headers(self, call: HttpCall, uid: str) -> dict[str, str]:
        headers = dict(call.headers)
        if (call.body or call.pieces) and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = JSON
        if call.pieces is not None:
            headers["Content-Length"] = str(call.size)
        if call.asks_for_json:
            headers["Accept"] = JSON
        if call.method not in {"GET", "HEAD"}:
            headers["Idempotency-Key"] = uid
        if call.signing_secret is not None:
            headers |= signature_headers(call.signing_secret, uid, int(time.time()), call.body)
        token = self._token_file.token() if call.own_token else ""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


_TROUBLE: Final = (aiohttp.ClientError, OSError, ValueError, AddressRefused)


def _head(response: aiohttp.ClientResponse, body: bytes = b"") -> Answer:
    headers = {name.lower(): value for name, value in list(response.headers.items())[:MAX_HEADERS]}
    message = "" if response.status < 300 else f"HTTP {response.status}"
    return Answer(response.status, headers, body, message=message)


async def _whole(response: aiohttp.ClientResponse, most: int) -> Answer:
    return _head(response, await _first(response.content, most))


async def _pieces(content: aiohttp.StreamReader, most: int, seconds: float) -> AsyncIterator[bytes]:
    """A body up to its end, which has to come."""
    left = most
    while piece := await _next(content, seconds):
        left -= len(piece)
        if left < 0:
            raise AnswerBrokeError(_too_long(most))
        yield piece


async def _next(content: aiohttp.StreamReader, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await content.read(PIECE_BYTES)
    except _TROUBLE as problem:
        raise AnswerBrokeError(_failure(problem, seconds)) from None


async def _first(content: aiohttp.StreamReader, most: int) -> bytes:
    """The beginning of a body, as much as is kept."""
    pieces: list[bytes] = []
    left = most
    while left > 0:
        piece = await content.read(left)
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _too_long(most: int) -> Answer:
    return Answer(problem=Problem.BROKEN, message=f"what came is longer than {most} bytes")


_TOLD: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], Problem, str], ...]] = (
    (aiohttp.ConnectionTimeoutError, Problem.UNREACHABLE, "no connection could be made in time"),
    (TimeoutError, Problem.TIMED_OUT, "no answer within {seconds:g} seconds"),
    (AddressRefused, Problem.ADDRESS_REFUSED, "{problem}"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), Problem.UNRESOLVED, "the host name is unknown"),
    (aiohttp.ClientConnectorCertificateError, Problem.UNREACHABLE, "its certificate is not trusted"),
    ((aiohttp.ClientConnectorError, ConnectionRefusedError), Problem.UNREACHABLE, "no connection could be made"),
    (aiohttp.InvalidURL, Problem.ADDRESS_REFUSED, "the address is no URL"),
    (Exception, Problem.BROKEN, "the connection broke off, or what came was not HTTP"),
)
"""Why there is no answer; the first that fits. The words are ours: those of libraries may hold addresses."""


def _failure(failure: Exception, seconds: float) -> Answer:
    problem, told = next((problem, told) for kind, problem, told in _TOLD if isinstance(failure, kind))
    return Answer(problem=problem, message=told.format(seconds=seconds, problem=failure))
