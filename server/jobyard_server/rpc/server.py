"""Puts the gRPC server together: the edge, the services, reflection, health, and the limits of the transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from jobyard_server.rpc import methods, reflection
from jobyard_server.rpc.edge import Edge
from jobyard_server.rpc.inprocess import InProcessBackend
from jobyard_server.rpc.interceptor import EdgeInterceptor
from jobyard_server.rpc.recording import Recording

Register: TypeAlias = Callable[[Any, Any], None]
"""A generated ``add_XServicer_to_server``."""

HEALTH: Final = "grpc.health.v1.Health"
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Transport:
    """Limits of the transport itself."""

    receive_bytes: int = 32 * 1024 * 1024
    """Largest request message that is received; how much of that each method takes is checked by the edge."""
    metadata_bytes: int = 16 * 1024
    """Largest metadata of a request."""
    streams_per_connection: int = 1000
    """Calls that one connection may have open."""
    keepalive_seconds: float = 60.0
    """A connection silent for so long is asked whether it still lives."""
    keepalive_timeout_seconds: float = 20.0
    """One that does not answer within so long is closed, and its calls are cancelled."""
    client_ping_seconds: float = 10.0
    """Clients that ping more often than this are turned away."""
    shared: bool = False
    """Whether other processes of the same server may listen at the same address."""

    def options(self) -> list[tuple[str, Any]]:
        """In the words of gRPC."""
        return [
            ("grpc.max_receive_message_length", self.receive_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", self.metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
            ("grpc.max_concurrent_streams", self.streams_per_connection),
            ("grpc.keepalive_time_ms", int(self.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout_seconds * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", int(self.client_ping_seconds * 1000)),
            # Two servers on one port share its callers by chance, which is wrong where each has a store of its own.
            ("grpc.so_reuseport", int(self.shared)),
        ]


class _Unregistered:
    """Stands where the generated code expects the server, so that methods are found by name when they are called.

    gRPC waits for the calls of each registered method by itself, and with every call for all of them anew: of some
    two hundred methods that is a large part of what a call costs.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """Do nothing: the generated code offers the same handlers in the way that is taken, too."""


class Rpc:
    """The services behind both doors."""

    def __init__(
        self,
        edge: Edge,
        services: Sequence[tuple[str, Register, object]],
        files: Iterable[FileDescriptor],
        contract: Callable[[], bytes],
        transport: Transport | None = None,
    ) -> None:
        """Take the services as (full name, registration, servicer), and what reads the FileDescriptorSet."""
        names = [name for name, _, _ in services]
        offered = [*names, HEALTH, *reflection.SERVICES]
        self.methods = methods.read(offered, files)
        self.health = health.aio.HealthServicer()
        self.server = grpc.aio.server(
            interceptors=[EdgeInterceptor(edge, self.methods)], options=(transport or Transport()).options()
        )
        recording = Recording()
        door: Any = _Unregistered(self.server)
        for _, register, servicer in services:
            register(servicer, door)
            register(servicer, recording)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, door)
        reflection.Reflection(contract, offered).register(self.server)
        self.backend = InProcessBackend(edge, self.methods, recording)
        self._names = names

    async def report(self, *, serving: bool) -> None:
        """Tell those who ask for the health of the server, or of one of its services."""
        status = _SERVING if serving else _NOT_SERVING
        for name in ("", *self._names):
            await self.health.set(name, status)
