"""Compiles a whole surface: faces, operations and the router that leads to them; what contradicts itself is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import EnumDescriptor, FileDescriptor, ServiceDescriptor

from jobyard_server.transcoding.operation import FacePlan, Operation, media_of, reasons_of
from jobyard_server.transcoding.router import Found, Missed, Route, Router
from jobyard_server.transcoding.settings import Settings
from jobyard_server.transcoding.surface import BARE_FACE, DeclarationError, MethodSpec, RouteSpec, Surface, read
from jobyard_server.transcoding.template import parse


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything compiled."""

    surface: Surface
    router: Router[Operation]
    operations: tuple[Operation, ...]
    faces: tuple[tuple[str, FacePlan], ...]
    """Faces by the prefixes of their paths, longest first."""
    bare: FacePlan
    """Answers for paths of no face."""
    suffixes: tuple[str, ...]
    """Of all faces."""

    def face_of(self, path: str) -> FacePlan | None:
        """Find the face that owns the errors of a path."""
        for prefix, plan in self.faces:
            if path.startswith(prefix) and (len(path) == len(prefix) or prefix == "/" or path[len(prefix)] in "/:"):
                return plan
        return None

    def find(self, verb: str, path: str) -> Found[Operation] | Missed:
        """Look a request up, as strictly as the faces say: HEAD, trailing slash and suffixes."""
        # A suffix goes before a variable at the end could take it for a part of its value.
        suffixed = path.endswith(self.suffixes)
        found: Found[Operation] | Missed = Missed(frozenset()) if suffixed else self._find_verb(verb, path)
        if isinstance(found, Found) or found.allowed:
            return found
        face = self.face_of(path)
        others = () if face is None else _variants(path, face)
        for other in (*others, path) if suffixed else others:
            again = self._find_verb(verb, other)
            if isinstance(again, Found) or again.allowed:
                return again
        return found

    def _find_verb(self, verb: str, path: str) -> Found[Operation] | Missed:
        found = self.router.find(verb, path)
        if not isinstance(found, Missed) or "GET" not in found.allowed:
            return found
        get = self.router.find("GET", path)
        if isinstance(get, Missed) or not get.routes[0].target.plan.face.head:
            return found
        return get if verb == "HEAD" else Missed(found.allowed | {"HEAD"})


def compile_plan(
    services: Iterable[ServiceDescriptor], settings: Settings, files: Iterable[FileDescriptor] = ()
) -> Plan:
    """Compile the services; raises DeclarationError, TemplateError and RouteConflictError."""
    known = list(files)
    surface = read(services, known)
    specs = list(surface.methods)
    if not specs:
        raise DeclarationError("there is no service to show")
    pool = specs[0].descriptor.containing_service.file.pool
    faces: dict[str, FacePlan] = {}
    for face in (*surface.faces, BARE_FACE):
        enums: list[EnumDescriptor] = reasons_of([spec for spec in specs if spec.face.name == face.name], known)
        faces[face.name] = FacePlan(face, pool, enums, settings)
    operations: list[Operation] = []
    routes: list[Route[Operation]] = []
    for spec in specs:
        plan = faces[spec.face.name]
        for route in spec.routes:
            operation = Operation(spec, route, plan, settings)
            operations.append(operation)
            routes.append(_route(operation, plan))
    _show(operations)
    suffixes = tuple(sorted({suffix for plan in faces.values() for suffix in plan.face.suffixes}))
    return Plan(surface, Router(routes), tuple(operations), _by_prefix(faces.values()), faces[BARE_FACE.name], suffixes)


def _route(operation: Operation, plan: FacePlan) -> Route[Operation]:
    spec: MethodSpec = operation.spec
    route: RouteSpec = operation.route
    moved = plan.mount.path(route.template.text)
    return Route(
        verb=route.verb,
        template=parse(moved or "/"),
        target=operation,
        owner=spec.name,
        media=media_of(spec, route, plan),
    )


def _show(operations: Sequence[Operation]) -> None:
    """Tell those that look first what is missing which method shows it."""
    shown = {each.route.template.text: each for each in operations if each.route.verb == "GET"}
    for operation in operations:
        if operation.spec.consumes.missing_first:
            path = operation.route.template.text
            if path not in shown:
                raise DeclarationError(f"{operation.spec.name}: missing_first needs a method that serves GET {path}")
            operation.shown_by = shown[path]


def _by_prefix(plans: Iterable[FacePlan]) -> tuple[tuple[str, FacePlan], ...]:
    pairs = [(plan.mount.path(prefix).rstrip("/") or "/", plan) for plan in plans for prefix in plan.face.prefixes]
    owners: dict[str, str] = {}
    for prefix, plan in pairs:
        other = owners.setdefault(prefix, plan.face.name)
        if other != plan.face.name:
            raise DeclarationError(f"the faces {other!r} and {plan.face.name!r} both own {prefix}")
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def _variants(path: str, plan: FacePlan) -> Sequence[str]:
    """Give the other spellings of a path that its face takes, the barest first."""
    slashed = plan.face.trailing_slash and path.endswith("/") and len(path) > 1
    bare = path[:-1] if slashed else path
    variants = [bare.removesuffix(suffix) for suffix in plan.face.suffixes if bare.endswith(suffix)]
    return [*variants, bare] if slashed else variants
