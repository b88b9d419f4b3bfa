"""What the transcoder asks of whoever runs the methods: the only thing it knows about the server behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

Metadata = tuple[tuple[str, str | bytes], ...]


class Call(NamedTuple):
    """One call as the transport saw it, before anything of the request was decoded."""

    method: str
    """Full gRPC path: `/package.Service/Method`."""

    metadata: Metadata
    """What a gRPC client would have sent, keys in lower case, values of `-bin` keys as bytes."""

    deadline: float | None
    """Moment of `time.monotonic()` after which nobody waits for the answer."""

    peer: str
    """Address of the caller: `ipv4:127.0.0.1:53211`, in the manner of gRPC."""

    certificate: str = ""
    """The certificate that the client's connection was made with, as PEM."""


@dataclass(frozen=True, slots=True)
class ResponseMetadata:
    """What a handler said beside its message."""

    initial: Metadata = ()
    trailing: Metadata = ()


NO_METADATA = ResponseMetadata()


class RpcFailure(Exception):  # noqa: N818 - a failure is what gRPC calls it
    """The call ended with a status other than OK, for a reason that the caller may know."""

    def __init__(
        self,
        code: int,
        message: str,
        details: tuple[Message, ...] = (),
        metadata: Metadata = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        """Value of google.rpc.Code."""
        self.message = message
        self.details = details
        """Unpacked messages such as ErrorInfo and BadRequest."""
        self.metadata = metadata


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field, spelled as the client wrote it."""

    field: str
    description: str
    value: str = ""
    before: str = ""
    """The value before it, of what was given twice."""


class RequestRefused(Exception):  # noqa: N818 - the request is at fault, not the program
    """The transcoder cannot make a message of the request; backends let it pass through untouched."""

    def __init__(
        self,
        reason: str,
        message: str,
        violations: tuple[Violation, ...] = (),
        facts: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        """Name of a LayerReason without its prefix."""
        self.message = message
        self.violations = violations
        self.facts = facts or {}
        """Further words for the text templates of a face."""


Decode = Callable[[], Awaitable[Message]]
"""Reads the body and makes the request message; raises RequestRefused, and ClientGone when there is nobody any more.

Called once, after the caller was admitted: of a caller who is not, no body is read.
"""


class Backend(Protocol):
    """Runs methods: authenticates and checks the permission, only then decodes, validates and calls the handler.

    Every method raises RpcFailure for what the caller may know; anything else is answered as an internal error without
    its text. Cancelling the awaiting task means that the client has gone away.
    """

    async def unary(self, call: Call, decode: Decode) -> tuple[Message, ResponseMetadata]:
        """Answer one request with one response."""
        ...

    def stream(self, call: Call, decode: Decode) -> AsyncIterator[Message]:
        """Answer one request with a stream; admission and decoding happen when the first item is asked for."""
        ...

    async def client_stream(self, call: Call, requests: AsyncIterator[Message]) -> tuple[Message, ResponseMetadata]:
        """Answer a stream of requests with one response; the first request is asked for after admission."""
        ...

    def duplex(self, call: Call, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Answer a stream of requests with a stream of responses."""
        ...
