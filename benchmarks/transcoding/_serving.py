"""One server of the comparison, as a program: the transcoder, the gRPC server behind Envoy, or FastAPI."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvicorn
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.backend import NO_METADATA, Call, Decode, ResponseMetadata
from jobyard_server.transcoding.http_connection import Connection

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests")]

from _fastapi import fastapi_app
from codec import job

from support import codec_messages
from support.trial import PROTOS, compiled


def service() -> ServiceDescriptor:
    """Compile the service that all of them serve."""
    codec_messages.compiled()
    files = compiled("jobs.proto", roots=(HERE, PROTOS))
    for file in files.file:
        if file.name == "jobs.proto":
            Default().AddSerializedFile(file.SerializeToString())
    return Default().FindServiceByName("bench.v1.JobService")


class Handlers:
    """What both the transcoder and gRPC call: as little as can be, so that the ways to it are what is measured."""

    def __init__(self) -> None:
        self.job = job(7)

    def answer(self, method: str, request: Any) -> Message:
        """Give the job that is asked for, or that was brought."""
        return self.job if method.endswith("GetJob") else request.job

    async def unary(self, call: Call, decode: Decode) -> tuple[Message, ResponseMetadata]:
        """Be the backend of the transcoder."""
        return self.answer(call.method, await decode()), NO_METADATA

    def stream(self, call: Call, decode: Decode) -> AsyncIterator[Message]:
        """Stream nothing: the service has no streams."""
        raise NotImplementedError

    async def client_stream(self, call: Call, requests: AsyncIterator[Message]) -> tuple[Message, ResponseMetadata]:
        """Take no stream either."""
        raise NotImplementedError

    def duplex(self, call: Call, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Take and stream nothing."""
        raise NotImplementedError


async def serve_grpc(served: ServiceDescriptor) -> None:
    """Serve the methods over gRPC."""
    handlers = Handlers()
    methods = {}
    for method in served.methods:

        async def answer(request: Message, _context: Any, name: str = method.name) -> Message:
            return handlers.answer(name, request)

        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(served.full_name, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def serve_http(app: Any, protocol: Any) -> None:
    """Serve an ASGI application."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False)
    print(listener.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve([listener])


def main(kind: str) -> None:
    """Serve until ended."""
    if kind == "transcoder":
        uvloop.run(serve_http(Transcoder([service()], Handlers()), Connection))
    elif kind == "fastapi":
        uvloop.run(serve_http(fastapi_app(job(7)), "httptools"))
    else:
        uvloop.run(serve_grpc(service()))


if __name__ == "__main__":
    main(sys.argv[1])
