"""The command that calls any method of the contract, for what no other command does."""

from __future__ import annotations

import importlib
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from jobyard_server.cli.contract_names import find
from jobyard_server.cli.errors import UsageError
from jobyard_server.cli.printing import dialect
from jobyard_server.cli.session import Session
from jobyard_server.transcoding.codec import CodecError, Dialect, compile_decoder, compile_encoder


def method_of(name: str) -> MethodDescriptor:
    """The method that a name means, such as `GetJob` or `jobyard.jobs.v1.JobService/GetJob`."""
    found = find(name, descriptor_pb2.MethodDescriptorProto)
    # A generated module registers what it holds and needs.
    importlib.import_module(f"{found.file.removesuffix('.proto').replace('/', '.')}_pb2")
    service, _, method = found.name.rpartition(".")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]


def request_of(method: MethodDescriptor, text: str) -> Message:
    """The request that JSON means."""
    message: Message = message_factory.GetMessageClass(method.input_type)()
    try:
        compile_decoder(method.input_type, _dialect(method))(text.encode() or b"{}", message)
    except CodecError as error:
        raise UsageError(f"the request is not a {method.input_type.name}: {error}") from None
    return message


async def call(session: Session, method: MethodDescriptor, request: Message) -> None:
    """Call a method and print its answers, one on each line."""
    answer = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    encode = compile_encoder(method.output_type, _dialect(method))
    types: Any = {"request_serializer": type(request).SerializeToString, "response_deserializer": answer.FromString}
    channel: grpc.aio.Channel = session.channel
    if not method.server_streaming:
        print(encode(await session.call(channel.unary_unary(path, **types), request, seconds=60.0)).decode())
        return
    async with aclosing(session.stream(channel.unary_stream(path, **types), request)) as stream:
        async for message in stream:
            print(encode(message).decode(), flush=True)


def _dialect(method: MethodDescriptor) -> Dialect:
    """The jobs API is spelled as over REST; of the others this is another door, and proto3 JSON its language."""
    return dialect() if method.full_name.startswith("jobyard.jobs.") else Dialect()
