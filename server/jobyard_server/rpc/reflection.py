"""Lets clients ask the server for its protos, in both versions of gRPC's reflection protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from jobyard_server.rpc.reflected_files import ReflectedFiles, renamed

_V1ALPHA: Final = "grpc.reflection.v1alpha"
_V1: Final = "grpc.reflection.v1"

SERVICES: Final = (f"{_V1}.ServerReflection", f"{_V1ALPHA}.ServerReflection")

_POOL: Final = descriptor_pool.Default()

_V1_FILE: Final = "grpc/reflection/v1/reflection.proto"
renamed(_POOL.FindFileByName(reflection_pb2.DESCRIPTOR.name), _V1_FILE, _V1)

FILES: Final = tuple(
    _POOL.FindFileByName(name)
    for name in (
        _V1_FILE,
        reflection_pb2.DESCRIPTOR.name,
        health_pb2.DESCRIPTOR.name,
        # Errors carry these inside `Any`; a client that finds them here prints what they say.
        error_details_pb2.DESCRIPTOR.name,
        status_pb2.DESCRIPTOR.name,
    )
)


class Reflection:
    """Answers from the files of the contract, with their comments."""

    def __init__(self, contract: Callable[[], bytes], services: Iterable[str]) -> None:
        self._contract = contract
        self._services = sorted(services)

    @cached_property
    def _files(self) -> ReflectedFiles:
        # Made for the first who asks: it is large, and programs that have the stubs never do.
        return ReflectedFiles(FileDescriptorSet.FromString(self._contract()), FILES)

    def register(self, server: Any) -> None:
        """Offer both versions, whose messages are the same on the wire."""
        for service in SERVICES:
            server.add_generic_rpc_handlers((self._handler(service),))

    def _handler(self, service: str) -> grpc.GenericRpcHandler:
        method = _POOL.FindServiceByName(service).methods_by_name["ServerReflectionInfo"]
        request, response = (message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type))

        async def info(requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
            async for asked in requests:
                answer = response(original_request=asked, valid_host=asked.host)
                self._answer(asked, answer)
                yield answer

        handler = grpc.stream_stream_rpc_method_handler(
            info, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )
        return grpc.method_handlers_generic_handler(service, {method.name: handler})

    def _answer(self, asked: Any, answer: Any) -> None:
        files = self._files
        extension = asked.file_containing_extension
        try:
            match asked.WhichOneof("message_request"):
                case "file_by_filename":
                    _fill(answer, files.by_name(asked.file_by_filename))
                case "file_containing_symbol":
                    _fill(answer, files.by_symbol(asked.file_containing_symbol))
                case "file_containing_extension":
                    _fill(answer, files.by_extension(extension.containing_type, extension.extension_number))
                case "all_extension_numbers_of_type":
                    name = asked.all_extension_numbers_of_type
                    numbers = files.extension_numbers(name)
                    answer.all_extension_numbers_response.base_type_name = name
                    answer.all_extension_numbers_response.extension_number.extend(numbers)
                case "list_services":
                    answer.list_services_response.SetInParent()
                    for service in self._services:
                        answer.list_services_response.service.add(name=service)
                case _:
                    _refuse(answer, grpc.StatusCode.INVALID_ARGUMENT, "nothing is asked for")
        except KeyError as missing:
            _refuse(answer, grpc.StatusCode.NOT_FOUND, f"not found: {missing.args[0]}")


def _fill(answer: Any, files: Sequence[bytes]) -> None:
    answer.file_descriptor_response.file_descriptor_proto.extend(files)


def _refuse(answer: Any, code: grpc.StatusCode, message: str) -> None:
    answer.error_response.error_code = code.value[0]
    answer.error_response.error_message = message
