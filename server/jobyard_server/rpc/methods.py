"""What the edge knows about each method before it is called, read from the options of its proto."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

from jobyard.rest.v1 import annotations_pb2, face_pb2, media_pb2, permission_pb2
from jobyard_server.callers.credential import AUTHORIZATION, Place


class Access(Enum):
    """What a method asks of its caller."""

    PERMISSION = auto()
    """To hold the method's permission."""
    AUTHENTICATED = auto()
    """To have proved who it is."""
    OPEN = auto()
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    path: str
    """``/package.Service/Method``."""
    access: Access
    permission: str = ""
    places: tuple[Place, ...] = (AUTHORIZATION,)
    """Where its credentials are looked for, in this order."""
    changes: bool = False
    """Whether it may change something: it does not say that it has no side effects."""
    vital: bool = False
    """Served even when the server takes no further calls."""
    most_bytes: int = 0
    """Largest request, of a stream all its messages together, where the method says so itself; 0: it does not."""


class DeclarationError(Exception):
    """Protos that lack what the edge must know; the server does not start with them."""


# Services of gRPC itself: their protos are not ours, so what they ask of callers is said here.
_OF_GRPC = {
    "grpc.health.v1.Health": True,
    "grpc.reflection.v1.ServerReflection": False,
    "grpc.reflection.v1alpha.ServerReflection": False,
}


def read(services: Iterable[str], files: Iterable[FileDescriptor] = ()) -> dict[str, Method]:
    """Describe every method of the services by its path; the files, with their imports, register the faces.

    Raises DeclarationError naming all methods that say too little.
    """
    pool = descriptor_pool.Default()
    chosen = [pool.FindServiceByName(name) for name in services]
    faces = _faces([*files, *(service.file for service in chosen)])
    table: dict[str, Method] = {}
    silent: list[str] = []
    for service in chosen:
        places = _places(service, faces)
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            if service.full_name in _OF_GRPC:
                table[path] = Method(path, Access.OPEN, vital=_OF_GRPC[service.full_name])
            elif (described := _describe(path, method, places)) is None:
                silent.append(str(method.full_name))
            else:
                table[path] = replace(described, changes=not _is_reading(method))
    if silent:
        raise DeclarationError(f"methods without (jobyard.rest.v1.permission): {', '.join(sorted(silent))}")
    return table


def permissions(methods: Mapping[str, Method]) -> frozenset[str]:
    """Every permission that some method asks for."""
    return frozenset(method.permission for method in methods.values() if method.permission)


def _describe(path: str, method: MethodDescriptor, places: tuple[Place, ...]) -> Method | None:
    options = method.GetOptions().Extensions
    rule: permission_pb2.Permission = options[annotations_pb2.permission]
    consumes: media_pb2.Consumes = options[annotations_pb2.consumes]
    most = consumes.max_bytes
    match rule.WhichOneof("rule"):
        case "name" if rule.name:
            return Method(path, Access.PERMISSION, rule.name, places, most_bytes=most)
        case "authenticated" if rule.authenticated:
            return Method(path, Access.AUTHENTICATED, places=places, most_bytes=most)
        case "open" if rule.open:
            return Method(path, Access.OPEN, places=places, most_bytes=most)
    return None


def _is_reading(method: MethodDescriptor) -> bool:
    level = method.GetOptions().idempotency_level
    return bool(level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS)


def _places(service: ServiceDescriptor, faces: Mapping[str, face_pb2.Face]) -> tuple[Place, ...]:
    """Where the service's face looks for credentials, and last where gRPC clients put theirs."""
    name: str = service.GetOptions().Extensions[annotations_pb2.face]
    if name and name not in faces:
        raise DeclarationError(f"{service.full_name} names the face {name!r}, which no file registers")
    face = faces[name] if name else face_pb2.Face()
    credentials = face.credentials or (faces[face.like].credentials if face.like in faces else ())
    named = [Place(each.header.lower(), each.scheme.lower()) for each in credentials]
    return tuple(dict.fromkeys([*named, AUTHORIZATION]))


def _faces(files: Iterable[FileDescriptor]) -> dict[str, face_pb2.Face]:
    """The faces that the files and what they import register, by name."""
    waiting, seen = list(files), set[str]()
    faces: dict[str, face_pb2.Face] = {}
    while waiting:
        file = waiting.pop()
        if file.name in seen:
            continue
        seen.add(file.name)
        waiting.extend(file.dependencies)
        faces |= {face.name: face for face in file.GetOptions().Extensions[annotations_pb2.faces]}
    return faces
