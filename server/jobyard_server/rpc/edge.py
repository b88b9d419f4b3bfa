"""The way of every call, whichever door it came by: admit, check, serve within its time, answer, write it down.

Each step has one place here, so gRPC and REST cannot differ. The doors (`interceptor` for gRPC, `inprocess` for REST)
bring the call and take the outcome away in their own form.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from time import monotonic, perf_counter
from typing import Final

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from jobyard_server.callers.authentication import ANONYMOUS, Authentication
from jobyard_server.callers.credential import Credential, Kind, present
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused, refuse, stopping
from jobyard_server.observe.calls import CallLog, CallMetrics
from jobyard_server.rpc import caller, validation
from jobyard_server.rpc.failures import Failure, from_refusal, internal
from jobyard_server.rpc.methods import Access, Method
from jobyard_server.rpc.turnstile import UNLIMITED, Pass, Share, turnstile
from jobyard_server.transcoding.budget import Budget

Headers = Mapping[str, str | bytes]

SWEEP: Final = 0.5
"""Seconds between two looks at calls whose time may soon be over."""

LONG: Final = 1.0
"""Seconds after which a call is taken to be waiting for something."""

REQUEST_ID: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

_PROCESS: Final = secrets.token_hex(6)
_COUNTER: Final = count(1)

_problems = structlog.get_logger("jobyard.rpc")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is served at once, and for how long."""

    calls: int = 2000
    """Calls being served at once, streams included."""
    unary_seconds: float = 300.0
    """Longest time for a call with one answer, whatever its caller allows."""
    certificates: bool = False
    """Whether clients of gRPC are asked for certificates."""
    request_bytes: int = 4 * 1024 * 1024
    """Largest request of a method that does not say itself how much it takes."""
    requests_bytes: int = 256 * 1024 * 1024
    """All requests in memory at once."""
    address: Share = UNLIMITED
    """What each address gets."""
    caller: Share = UNLIMITED
    """What each caller gets."""


class Edge:
    """What all calls share."""

    def __init__(
        self, authentication: Authentication, metrics: CallMetrics, limits: Limits, log: CallLog | None = None
    ) -> None:
        self.authentication = authentication
        self.metrics = metrics
        self.limits = limits
        self.log = log
        self.budget = Budget(limits.requests_bytes)
        """The memory that requests share, by whichever door they come."""
        self.serving: set[Call] = set()
        """Calls being served now."""
        self.turnstile = turnstile(limits.address, limits.caller)
        self.stopping = False
        self._sweeping: asyncio.TimerHandle | None = None

    def open(
        self, method: Method, headers: Headers, deadline: float | None, peer: str, door: str, *, certificate: str = ""
    ) -> Call:
        """Begin a call; ``deadline`` is a moment of ``time.monotonic()``, the certificate that of its connection."""
        call = Call(self, method, headers, deadline, peer, door, certificate=certificate)
        self.serving.add(call)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        return call

    def stop(self, seconds: float) -> None:
        """Take no further calls, and end those in progress: the short ones in their time, those that wait at once."""
        self.stopping = True
        for call in tuple(self.serving):
            call.hurry(seconds)

    def _sweep(self) -> None:
        """Set the clock for calls whose time is soon over. Most calls end before, and so never pay for a clock."""
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(SWEEP, self._sweep) if self.serving else None
        horizon = loop.time() + 2 * SWEEP
        for call in self.serving:
            if call.until is not None and call.until <= horizon:
                call.set_clock(call.until)


class Call:
    """One call on its way through the edge."""

    __slots__ = (
        "_begun",
        "_certificate",
        "_deadline",
        "_door",
        "_edge",
        "_headers",
        "_hurried",
        "_method",
        "_pass",
        "_peer",
        "_principal",
        "_time",
        "request_id",
        "until",
    )

    def __init__(
        self,
        edge: Edge,
        method: Method,
        headers: Headers,
        deadline: float | None,
        peer: str,
        door: str,
        *,
        certificate: str = "",
    ) -> None:
        self._begun = perf_counter()
        self._certificate = certificate
        self._edge = edge
        self._method = method
        self._headers = headers
        self._deadline = deadline
        self._peer = peer
        self._door = door
        self._principal: Principal | None = None
        self._pass: Pass | None = None
        self._time: asyncio.Timeout | None = None
        self._hurried = False
        self.until: float | None = None
        """When its time is over, by the clock of the event loop."""
        self.request_id = _request_id(headers.get(REQUEST_ID))

    async def admit(self) -> None:
        """Let the caller in, or raise ``Refused``. Nothing of the request has been read so far."""
        edge, method = self._edge, self._method
        if not method.vital:
            if edge.stopping:
                raise stopping()
            if len(edge.serving) > edge.limits.calls:
                raise Refused(Refusal(Reason.OVERLOADED, "The server is serving too many calls.", retry_after=1.0))
            if edge.turnstile is not None:
                self._pass = Pass(edge.turnstile, self._peer)
        shown = present(self._headers, method.places)
        # What a request shows by itself goes before the certificate, which many callers may share.
        credential = Credential(Kind.CERTIFICATE, self._certificate) if shown is None and self._certificate else shown
        try:
            principal = await edge.authentication.authenticate(credential)
        except Refused as refused:
            if method.access is not Access.OPEN or refused.refusal.reason is not Reason.CREDENTIALS_INVALID:
                raise
            # Clients send what they have along, wherever they call.
            principal = await edge.authentication.authenticate(None)
        self._principal = principal
        if self._pass is not None:
            self._pass.known(principal)
        if method.access is not Access.OPEN:
            _require(method, principal, proved=shown is not None or principal.user != ANONYMOUS)
        self.resume()

    def resume(self) -> None:
        """Say who is calling to what runs next in the current task."""
        assert self._principal is not None
        caller.enter(caller.Caller(self._principal, self.request_id, self._peer))

    def unary_limit(self) -> asyncio.Timeout:
        """The time of a call with one answer, as a context that cancels what runs in it."""
        seconds = self._edge.limits.unary_seconds
        if self._deadline is not None:
            seconds = min(seconds, self._deadline - monotonic())
        if self.until is not None:
            # The server was told to stop while the caller was let in.
            seconds = min(seconds, self.until - asyncio.get_running_loop().time())
        return self._limit(seconds)

    def stream_limit(self) -> asyncio.Timeout:
        """The time of a stream, as long as its caller wants it; asked for again, the time of its next part."""
        self._hurried = self._hurried or self._edge.stopping
        if self._hurried:
            return self._limit(0)
        return self._limit(None if self._deadline is None else self._deadline - monotonic())

    def _limit(self, seconds: float | None) -> asyncio.Timeout:
        self.until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        soon = seconds is not None and seconds < 2 * SWEEP
        self._time = asyncio.timeout_at(self.until if soon else None)
        return self._time

    def set_clock(self, when: float) -> None:
        """Cancel what runs at this moment."""
        # Between two parts of a stream nothing runs; the next part is told its time when it begins.
        if self._time is not None:
            with suppress(RuntimeError):
                self._time.reschedule(when)

    def hurry(self, seconds: float) -> None:
        """End soon, for the server stops. What has run for long waits for something; the rest gets its time."""
        now = asyncio.get_running_loop().time()
        until = now if perf_counter() - self._begun > LONG else now + seconds
        if self.until is None or until < self.until:
            self._hurried = True
            self.until = until
            self.set_clock(until)

    def succeeded(self) -> None:
        """Write down that the call ended well."""
        self._ended("OK", None)

    def failed(self, problem: BaseException) -> Failure | None:
        """Write down why the call ended, and say what its caller is told.

        ``None`` where the problem itself has to go on: the caller has gone, or the handler has told it already.
        """
        failure = self._failure(problem)
        if failure is not None:
            self._ended(failure.code_name, failure.reason)
            return failure
        if isinstance(problem, asyncio.CancelledError):
            late = self._deadline is not None and monotonic() >= self._deadline
            self._ended("DEADLINE_EXCEEDED" if late else "CANCELLED", None)
        else:
            self._ended("ABORTED_BY_HANDLER", None)
        return None

    def ended_otherwise(self, code: str, reason: str | None = None) -> None:
        """Write down an end that its door knows how to tell."""
        self._ended(code, reason)

    def _failure(self, problem: BaseException) -> Failure | None:
        match problem:
            case Refused():
                return from_refusal(problem.refusal, self.request_id)
            case DecodeError():
                message = "The request is not a well-formed message."
                return from_refusal(Refusal(Reason.INVALID_FIELD, message), self.request_id)
            case TimeoutError() if self._hurried:
                return from_refusal(stopping().refusal, self.request_id)
            case TimeoutError() if self._is_late():
                message = "The time for this call ran out."
                return from_refusal(Refusal(Reason.DEADLINE_EXCEEDED, message), self.request_id)
            case asyncio.CancelledError() | grpc.aio.AbortError() | GeneratorExit():
                return None
        _problems.error("call broke", request_id=self.request_id, method=self._method.path, exc_info=problem)
        return internal(self.request_id)

    def _is_late(self) -> bool:
        """Whether the time is over that the limits gave; a handler may run into a timeout of its own before that."""
        if self._time is not None and self._time.expired():
            # The clock of the event loop is coarse, and may be ahead of ours.
            return True
        spent = perf_counter() - self._begun
        return spent >= self._edge.limits.unary_seconds or (
            self._deadline is not None and monotonic() >= self._deadline
        )

    def _ended(self, code: str, reason: str | None) -> None:
        self._edge.serving.discard(self)
        if self._pass is not None:
            self._pass.leave()
        seconds = perf_counter() - self._begun
        self._edge.metrics.ended(self._method.path, self._door, code, seconds)
        if self._edge.log is not None:
            self._edge.log.write(
                self._method.path,
                self._door,
                code,
                reason,
                seconds,
                self._principal,
                self._peer,
                self.request_id,
                changes=self._method.changes,
            )


def checked(request: Message) -> Message:
    """The request, once it keeps the rules of its message."""
    validation.check(request)
    return request


def _require(method: Method, principal: Principal, *, proved: bool) -> None:
    if method.access is Access.PERMISSION and principal.may(method.permission):
        return
    if not proved and not principal.permissions:
        raise refuse(Reason.CREDENTIALS_MISSING, "This method needs credentials and the request carries none.")
    if method.access is Access.PERMISSION:
        message = f"The caller does not hold the permission {method.permission}."
        raise refuse(Reason.PERMISSION_MISSING, message, permission=method.permission)


def _request_id(sent: str | bytes | None) -> str:
    if isinstance(sent, str) and _REQUEST_ID.fullmatch(sent):
        return sent
    return f"{_PROCESS}-{next(_COUNTER):x}"
