"""The transcoder itself: one ASGI callable that serves any services over REST, as their protos declare."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from jobyard_server.transcoding.backend import Backend, RequestRefused, ResponseMetadata, RpcFailure
from jobyard_server.transcoding.budget import Budget
from jobyard_server.transcoding.disconnects import ClientGone, Presence, Receive, Watch
from jobyard_server.transcoding.errors import ErrorPrinter
from jobyard_server.transcoding.failures import forbidden, of_refusal
from jobyard_server.transcoding.operation import Operation
from jobyard_server.transcoding.plan import Plan, compile_plan
from jobyard_server.transcoding.printing import Exchange
from jobyard_server.transcoding.refusals import refused
from jobyard_server.transcoding.reply import Reply
from jobyard_server.transcoding.requests import Request
from jobyard_server.transcoding.router import Found, Missed
from jobyard_server.transcoding.sending import Send, Sender
from jobyard_server.transcoding.settings import Settings
from jobyard_server.transcoding.stream import LateFailureError
from jobyard_server.transcoding.streaming import ResponseStream, requests
from jobyard_server.transcoding.visit import Visit, choose_route
from jobyard_server.transcoding.weighing import outweighed, unadmitted

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

DEFAULT_SETTINGS: Final = Settings()


class Transcoder:
    """Serves the methods of a backend over REST."""

    def __init__(
        self,
        services: Iterable[ServiceDescriptor],
        backend: Backend,
        settings: Settings = DEFAULT_SETTINGS,
        *,
        files: Iterable[FileDescriptor] = (),
        fallback: Asgi | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Compile everything; raises DeclarationError and its like for protos that contradict themselves.

        Faces may be registered in `files` that the services do not import. Paths that belong to no face go to the
        `fallback`, where there is one. Bodies share the `budget` with whoever else was given it.
        """
        self.plan: Plan = compile_plan(services, settings, files)
        self._backend = backend
        self._settings = settings
        self._limits = settings.limits
        self._fallback = fallback
        self._sender = Sender(settings)
        shared = budget or Budget(settings.limits.bodies_bytes)
        self._watch = Watch(settings.watch_after, settings.limits.body_seconds, shared)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event of ASGI."""
        if scope["type"] != "http":
            await _not_http(scope, receive, send)
            return
        request = Request(scope, self._settings.public_url)
        try:
            request.check(self._limits)
        except RequestRefused as refusal:
            reply = self._errors_at(request).reply(of_refusal(refusal), request.scene())
            await self._sender.reply(reply, request, send)
            return
        found = self.plan.find(request.verb, request.path)
        if isinstance(found, Found):
            if request.verb == "OPTIONS" and (told := self._preflight(request)) is not None:
                await self._sender.reply(told, request, send)
                return
            await self._serve(request, found, receive, send)
        elif found.allowed or self._fallback is None or self.plan.face_of(request.path) is not None:
            await self._sender.reply(self._missed(request, found), request, send)
        else:
            await self._fallback(scope, receive, send)

    async def forbid(self, scope: Scope, send: Send, why: str) -> None:
        """Tell a client that it may not ask at all, in the form of the face that it asked; its body is not read."""
        request = Request(scope, self._settings.public_url)
        await self._sender.reply(self._errors_at(request).reply(forbidden(why), request.scene()), request, send)

    async def _serve(self, request: Request, found: Found[Operation], receive: Receive, send: Send) -> None:
        """Serve a request that found its method, whatever comes of it."""
        operation = found.routes[0].target
        presence = self._watch.over(receive)
        visit: Visit | None = None
        try:
            operation = choose_route(found, request)
            visit = self._visit(request, operation, found.segments)
            with presence:
                if operation.streams_out:
                    await self._stream(visit, send, presence)
                    return
                reply = await self._unary(visit, presence)
        except ClientGone:
            return
        except LateFailureError:
            # The status line is out and the body cannot tell: the connection has to break.
            raise
        except asyncio.CancelledError:
            if presence.gone:
                return
            raise
        except Exception as error:  # noqa: BLE001 - every failure is answered; bugs are logged where they are told apart
            told: Exception = error
            if visit is None and isinstance(error, RequestRefused):
                told = await unadmitted(error, operation, request, self._backend)
            told = await outweighed(told, operation, request, found.segments, self._backend)
            reply = operation.failed(told, request.scene())
            if isinstance(told, RpcFailure):
                reply.headers += self._sender.metadata(ResponseMetadata(told.metadata))
        await self._sender.reply(operation.dress(reply, request.headers.get(b"accept", b"")), request, send)

    def _visit(self, request: Request, operation: Operation, segments: list[str]) -> Visit:
        """Work out what the method has to be told before anything is decoded."""
        offer = operation.choose(request.headers.get(b"accept", b""))
        if offer is None:
            offered = ", ".join(each.media_type for each in operation.offers)
            raise refused("NOT_ACCEPTABLE", f"the method writes only {offered}", allowed=offered)
        return Visit(request, operation, segments, offer, Exchange(request), operation.call(request))

    async def _unary(self, visit: Visit, presence: Presence) -> Reply:
        """Run a method that answers once."""
        operation = visit.operation
        if operation.streams_in:
            items = requests(visit, presence, self._limits.line_bytes)
            message, said = await self._backend.client_stream(visit.call, items)
        else:
            message, said = await self._backend.unary(visit.call, visit.decoder(presence))
        headers = visit.request.headers
        reply = operation.answers.reply(message, visit.exchange, visit.offer, headers, safe=operation.safe)
        reply.headers += operation.headers
        reply.headers += self._sender.metadata(said)
        return reply

    async def _stream(self, visit: Visit, send: Send, presence: Presence) -> None:
        """Run a method that answers with a stream."""
        responses = ResponseStream(visit, self._sender, send, self._settings.head_after)
        if visit.operation.streams_in:
            items = requests(visit, presence, self._limits.line_bytes)
            await responses.run(self._backend.duplex(visit.call, responses.taking(items)))
            return
        await responses.run(self._backend.stream(visit.call, responses.decoding(visit.decoder(presence))))

    def _preflight(self, request: Request) -> Reply | None:
        """Answer a browser that asks about a path whose routes serve OPTIONS too; None when it does not ask."""
        wanted = request.headers.get(b"access-control-request-method", b"").decode("latin-1")
        asked = self.plan.find(wanted, request.path)
        return self._sender.preflight(request, [wanted] if isinstance(asked, Found) else sorted(asked.allowed))

    def _missed(self, request: Request, missed: Missed) -> Reply:
        """Answer a request that has no route: OPTIONS, a wrong verb, or an unknown path."""
        if not missed.allowed:
            failure = of_refusal(refused("PATH_UNKNOWN", f"nothing is found at {request.path}"))
            return self._errors_at(request).reply(failure, request.scene())
        verbs = sorted(missed.allowed | {"OPTIONS"})
        allowed = ", ".join(verbs)
        if request.verb == "OPTIONS":
            return self._sender.preflight(request, verbs) or Reply(200, [(b"allow", allowed.encode())])
        refusal = refused("METHOD_NOT_ALLOWED", f"{request.verb} is not allowed here, only {allowed}", allowed=allowed)
        return self._errors_at(request).reply(of_refusal(refusal), request.scene())

    def _errors_at(self, request: Request) -> ErrorPrinter:
        return (self.plan.face_of(request.path) or self.plan.bare).errors


async def _not_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Take part in the start and end of the server; close anything else, such as web sockets."""
    if scope["type"] != "lifespan":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
