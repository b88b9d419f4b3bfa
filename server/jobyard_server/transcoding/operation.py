"""One route of one method, compiled: everything that a request of it needs is worked out when the server starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from google.protobuf.descriptor import EnumDescriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.rpc import status_pb2

from jobyard.rest.v1 import answer_pb2, error_pb2, face_pb2, json_pb2
from jobyard_server.transcoding.addresses import Mount
from jobyard_server.transcoding.answers import AnswerTable, answers_of, is_empty
from jobyard_server.transcoding.backend import Call, RequestRefused, RpcFailure
from jobyard_server.transcoding.binding import Binder, setter
from jobyard_server.transcoding.bodies import Writers
from jobyard_server.transcoding.body_forms import is_exact
from jobyard_server.transcoding.codec import Dialect, compile_encoder
from jobyard_server.transcoding.contradictions import refuse_contradictions
from jobyard_server.transcoding.errors import ErrorPrinter, Printers, fixed_headers
from jobyard_server.transcoding.failures import INTERNAL, LAYER_DOMAIN, Scene, Spell, of_refusal, of_rpc
from jobyard_server.transcoding.headers import MetadataMap
from jobyard_server.transcoding.links import LinkBook
from jobyard_server.transcoding.media import (
    JSON,
    NDJSON,
    OCTETS,
    Form,
    Offer,
    bare,
    fits,
    form_of,
    is_json,
    is_text,
    negotiate,
    offer,
)
from jobyard_server.transcoding.printing import Scope
from jobyard_server.transcoding.reasons import Meaning, enums_of, meanings
from jobyard_server.transcoding.reply import Reply
from jobyard_server.transcoding.requests import Request
from jobyard_server.transcoding.router import NO_BODY
from jobyard_server.transcoding.settings import Settings
from jobyard_server.transcoding.spelling import speller
from jobyard_server.transcoding.stream import OFFERS, StreamPlan
from jobyard_server.transcoding.surface import MethodSpec, RouteSpec
from jobyard_server.transcoding.xml import XmlForm

_LOG = logging.getLogger(__name__)
_MOST_ACCEPTS_KEPT = 256
_SAFE = frozenset({"GET", "HEAD"})


class FacePlan:
    """One face, compiled: what all its methods share."""

    def __init__(
        self, face: face_pb2.Face, pool: DescriptorPool, enums: list[EnumDescriptor], settings: Settings
    ) -> None:
        self.face = face
        self.pool = pool
        self.meanings: dict[str, Meaning] = meanings(enums)
        # Printers of whole errors need a dialect, the dialect of answers needs the printer of items.
        plain = Dialect.of_face(face, settings.profiles)
        self._printers = Printers(
            encode=lambda kind: compile_encoder(kind.DESCRIPTOR, plain),
            tree=lambda kind: compile_encoder(kind.DESCRIPTOR, plain).tree,
        )
        self.headers = fixed_headers(face)
        self.errors = self.errors_of(error_pb2.MethodErrors(), texts=False)
        declared = Dialect.of_face(face, settings.profiles, self._item_error)
        self.dialect = replace(declared, depth=settings.limits.depth)
        self.mount = Mount.of(face, settings.mounts.get(face.name))
        self.links = LinkBook(self.dialect, self.mount)
        self.metadata = MetadataMap(settings.forward_headers, settings.metadata_prefix, face)
        self.consumes = tuple(face.consumes) or (JSON,)
        self.produces = tuple(Offer(each, (bare(each),)) for each in face.produces) or (Offer(JSON, (JSON,)),)
        self.xml = XmlForm(face)

    def errors_of(self, method: error_pb2.MethodErrors, *, texts: bool) -> ErrorPrinter:
        """Compile the errors of a method that has some of its own."""
        return ErrorPrinter(self.face, method, self.pool, self._printers, texts=texts)

    def _item_error(self, status: Message) -> object:
        assert isinstance(status, status_pb2.Status)
        return self.errors.item(status, self.meanings)


@dataclass(frozen=True)
class Intake:
    """Which bodies a route takes."""

    takes: bool
    """There is a field for it."""
    ignores: bool
    """One that has no field is ignored instead of refused."""
    types: tuple[tuple[str, Form], ...]
    assumed: str
    most: int
    known: dict[str, Form | None] = field(default_factory=dict)

    def form(self, content_type: str) -> Form | None:
        """Say how a body of this type is read; None: not at all."""
        wanted = bare(content_type) or self.assumed
        if wanted not in self.known:
            found = next((form for pattern, form in self.types if fits(wanted, pattern)), None)
            if found is None or len(self.known) >= _MOST_ACCEPTS_KEPT:
                return found
            self.known[wanted] = found
        return self.known[wanted]


class Operation:
    """One route of one method."""

    def __init__(self, spec: MethodSpec, route: RouteSpec, plan: FacePlan, settings: Settings) -> None:
        self.spec = spec
        self.route = route
        self.plan = plan
        self.call_path = spec.path
        self.streams_in = bool(spec.descriptor.client_streaming)
        self.exact = _takes_exact(spec, route)
        self.exact_in = self.streams_in and self.exact
        self.streams_out = bool(spec.descriptor.server_streaming)
        self.safe = route.verb in _SAFE
        self.shown_by: Operation | None = None
        """What shows the thing that the path names, where its absence outweighs all that is wrong with a request."""
        self.binder = Binder(spec, route, plan.dialect, settings.limits, settings.multi_segment)
        self.spell: Spell = speller(spec.request, route.body, plan.dialect)
        self.intake = _intake(spec, route, plan, settings)
        answers = answers_of(spec, route, plan.dialect.profiles)
        self.offers = _offers(spec, route, plan)
        self.texts = all(is_text(each.media_type) for each in self.offers)
        own_errors = spec.errors.formats or spec.errors.rows or self.texts
        self.errors = plan.errors_of(spec.errors, texts=self.texts) if own_errors else plan.errors
        self._choices = self.offers + (plan.xml.offers if _writes_json(self.offers) else ())
        self.headers = [*plan.headers, *([(b"vary", b"Accept")] if len(self._choices) > 1 else [])]
        where = f"{spec.name}, {route.verb} {route.template.text}"
        self.setters: dict[str, Callable[[Message], None]] = {
            each.media_type: setter(spec.request, each.sets, plan.dialect, where) for each in self.offers if each.sets
        }
        self._any_accept = plan.face.any_accept or _fits_anyone(spec, route, answers)
        self._accepted: dict[bytes, Offer | None] = {}
        scope = Scope(spec.response, spec.request, plan.dialect, spec.name)
        writers = Writers(scope, plan.links, spec.page_links, self.binder.query)
        self.stream = self._stream(scope, writers) if self.streams_out else None
        self.answers = AnswerTable(answers, scope, writers, plan.mount, absolute_location=settings.absolute_locations)
        refuse_contradictions(spec, answers, plan.dialect)

    def call(self, request: Request) -> Call:
        """Say what a gRPC client would have sent beside the message."""
        metadata = self.plan.metadata.of(request.lines, request.headers)
        metadata.append(("x-request-id", request.request_id))
        return Call(self.call_path, tuple(metadata), request.deadline(), request.peer, request.certificate)

    def choose(self, accept: bytes) -> Offer | None:
        """Choose the media type that the client likes best; None: it takes none of them."""
        known = self._accepted.get(accept, self)
        if not isinstance(known, Operation):
            return known
        chosen = negotiate(accept.decode("latin-1"), self._choices)
        if chosen is None and self._any_accept:
            chosen = self.offers[0]
        if len(self._accepted) < _MOST_ACCEPTS_KEPT and len(accept) < 256:
            self._accepted[accept] = chosen
        return chosen

    def dress(self, reply: Reply, accept: bytes) -> Reply:
        """Give an answer, or a failure, the form that the client asked for."""
        if len(self._choices) == len(self.offers):
            return reply
        offer = self.choose(accept)
        return self.plan.xml.rewrite(reply, offer) if offer is not None and offer.xml else reply

    def failed(self, error: Exception, scene: Scene) -> Reply:
        """Answer whatever kept the method from its answer; what it was not meant to raise is logged and not told."""
        if isinstance(error, RequestRefused):
            failure = of_refusal(error)
        elif isinstance(error, RpcFailure):
            failure = of_rpc(error, self.plan.meanings, self.spell)
        else:
            _LOG.error("%s failed", self.call_path, exc_info=error)
            failure = INTERNAL
        return self.errors.reply(failure, scene)

    def _stream(self, scope: Scope, writers: Writers) -> StreamPlan:
        body, exact = _streamed(self.spec, self.route), _streams_exact(self.spec, self.route)
        return StreamPlan(self.spec, scope, writers.of(body, self.offers[0].media_type if exact else ""), exact=exact)


def media_of(spec: MethodSpec, route: RouteSpec, plan: FacePlan) -> frozenset[str]:
    """Give the media types that tell a route from others on the same verb and path; none: it takes all requests."""
    if not route.body and not spec.consumes.empty:
        return frozenset()
    types = _types(spec, plan) if route.body else ()
    return frozenset(types) | ({NO_BODY} if spec.consumes.empty else frozenset())


def _types(spec: MethodSpec, plan: FacePlan) -> tuple[str, ...]:
    if spec.consumes.media_types:
        return tuple(bare(each) for each in spec.consumes.media_types)
    if spec.descriptor.client_streaming:
        return (NDJSON, *plan.consumes)
    return plan.consumes


def _intake(spec: MethodSpec, route: RouteSpec, plan: FacePlan, settings: Settings) -> Intake:
    face, consumes, limits = plan.face, spec.consumes, settings.limits
    types = _types(spec, plan)
    if not consumes.media_types and _takes_exact(spec, route):
        types = ("*/*",)
    most = consumes.max_bytes or face.max_bytes or limits.body_bytes
    ignores = consumes.ignore_body or face.unexpected_body == json_pb2.STRICTNESS_IGNORE
    return Intake(
        takes=bool(route.body) and not consumes.ignore_body,
        ignores=ignores,
        types=tuple((each, form_of(each, consumes.form)) for each in types),
        assumed=bare(face.assume_media_type),
        most=min(most, limits.most_body_bytes),
    )


def _takes_exact(spec: MethodSpec, route: RouteSpec) -> bool:
    return bool(route.body) and is_exact(spec.request, route.body.removesuffix("*"), where=spec.name)


def _streamed(spec: MethodSpec, route: RouteSpec) -> str:
    return spec.stream.body or route.response_body


def _streams_exact(spec: MethodSpec, route: RouteSpec) -> bool:
    return spec.descriptor.server_streaming and is_exact(spec.response, _streamed(spec, route), where=spec.name)


def _fits_anyone(spec: MethodSpec, route: RouteSpec, answers: Sequence[answer_pb2.Answer]) -> bool:
    """Tell a method that no `Accept` turns away: it writes nothing, or what only its HttpBody will say."""
    written = [each for each in answers if not is_empty(each)]
    if spec.produces or not written:
        return not written
    if spec.descriptor.server_streaming:
        return _streams_exact(spec, route)
    return any(not each.media_type and is_exact(spec.response, each.body, where=spec.name) for each in written)


def _offers(spec: MethodSpec, route: RouteSpec, plan: FacePlan) -> tuple[Offer, ...]:
    if spec.produces:
        return tuple(offer(each) for each in spec.produces)
    if spec.descriptor.server_streaming:
        return (Offer(OCTETS, (OCTETS,)),) if _streams_exact(spec, route) else OFFERS
    # An answer that names its media type itself is not for the client to choose.
    fixed = dict.fromkeys(each.media_type for each in spec.answers if each.media_type)
    chosen = tuple(Offer(each, (bare(each),)) for each in fixed)
    open_to_choice = not spec.answers or any(not each.media_type and not each.empty for each in spec.answers)
    return plan.produces + chosen if open_to_choice or not chosen else chosen


def _writes_json(offers: Sequence[Offer]) -> bool:
    return len(offers) == 1 and is_json(offers[0].media_type)


def reasons_of(specs: list[MethodSpec], files: Sequence[FileDescriptor]) -> list[EnumDescriptor]:
    """Find the enums that may hold reasons of these methods: in their files, the further ones, and what all import."""
    waiting = [*(spec.descriptor.containing_service.file for spec in specs), *files]
    seen: dict[str, list[EnumDescriptor]] = {}
    while waiting:
        file = waiting.pop()
        if file.name not in seen and file.package != LAYER_DOMAIN:
            seen[file.name] = enums_of([file])
            waiting.extend(file.dependencies)
    return [enum for enums in seen.values() for enum in enums]
