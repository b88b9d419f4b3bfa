"""One request that found its method: what was worked out about it before the method runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from jobyard_server.transcoding.backend import Call, Decode
from jobyard_server.transcoding.binding import NO_CONTENT, Content
from jobyard_server.transcoding.body import may_have_body, read
from jobyard_server.transcoding.disconnects import Presence
from jobyard_server.transcoding.media import Form, Offer, bare
from jobyard_server.transcoding.operation import Operation
from jobyard_server.transcoding.printing import Exchange
from jobyard_server.transcoding.refusals import refused
from jobyard_server.transcoding.requests import Request
from jobyard_server.transcoding.router import NO_BODY, Found

_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@dataclass
class Visit:
    """A request and the operation that serves it."""

    request: Request
    operation: Operation
    segments: list[str]
    offer: Offer
    exchange: Exchange
    call: Call

    def decoder(self, presence: Presence) -> Decode:
        """Make what reads the body and binds the request, once the caller is admitted."""

        async def decode() -> Message:
            request = self.request
            content = NO_CONTENT
            if request.verb not in _BODILESS and may_have_body(request.headers):
                content = await self._content(presence)
            presence.body_over = True
            message = self.operation.binder.bind(self.segments, request.query, request.headers, content)
            self.finish(message)
            return message

        return decode

    def finish(self, message: Message) -> None:
        """Put into a bound message what the choice of a media type sets."""
        setters = self.operation.setters
        if setters:
            setter = setters.get(self.offer.media_type)
            if setter is not None:
                setter(message)
        self.exchange.request = message

    async def _content(self, presence: Presence) -> Content:
        """Read the body; raises RequestRefused and ClientGone."""
        intake = self.operation.intake
        if not intake.takes:
            await self._drain(presence)
            return NO_CONTENT
        form, media_type = self.form()
        return Content(await read(presence, self.request.headers, intake.most), form, media_type)

    def form(self) -> tuple[Form, str]:
        """Say how the body is read; raises RequestRefused for a media type that the method cannot read."""
        media_type = self.request.headers.get(b"content-type", b"").decode("latin-1")
        form = self.operation.intake.form(media_type)
        if form is None:
            raise unsupported(media_type, [kind for kind, _ in self.operation.intake.types])
        return form, media_type

    async def _drain(self, presence: Presence) -> None:
        data = await read(presence, self.request.headers, self.operation.intake.most)
        if data and not self.operation.intake.ignores:
            raise refused("BODY_UNEXPECTED", "the method takes no body")


def choose_route(found: Found[Operation], request: Request) -> Operation:
    """Choose among methods on the same verb and path by what the body is; raises RequestRefused."""
    if len(found.routes) == 1:
        return found.routes[0].target
    media_type = request.headers.get(b"content-type", b"").decode("latin-1")
    if not may_have_body(request.headers):
        for route in found.routes:
            if NO_BODY in route.media:
                return route.target
        if not media_type:
            return found.routes[0].target
    for route in found.routes:
        if route.target.intake.form(media_type) is not None:
            return route.target
    known = sorted({kind for route in found.routes for kind in route.media if kind})
    raise unsupported(media_type, known)


def unsupported(media_type: str, known: list[str]) -> Exception:
    """Build the refusal of a body of an unknown type."""
    named = f"the media type {media_type!r}" if media_type else "a body without a Content-Type"
    taken = ", ".join(known)
    message = f"{named} is not supported here; send {taken}"
    return refused("MEDIA_TYPE_UNSUPPORTED", message, value=bare(media_type), allowed=taken)
