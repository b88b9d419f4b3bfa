"""The messages that the codec is tried on, compiled from tests/protos when the tests start."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import grpc_tools
from google.protobuf import any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_tools import protoc

from jobyard.rest.v1 import annotations_pb2

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests" / "protos", ROOT / "protos", Path(grpc_tools.__file__).parent / "_proto")
FILES = ("codec/v1/rich.proto", "codec/v1/declared.proto", "codec/v1/job.proto")
# Imported so that the pool knows what the files import.
KNOWN = (
    annotations_pb2,
    any_pb2,
    duration_pb2,
    field_mask_pb2,
    status_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)


@cache
def message(name: str) -> type[Message]:
    """Give the class of a message of codec.v1."""
    compiled()
    return GetMessageClass(Default().FindMessageTypeByName(f"codec.v1.{name}"))


@cache
def compiled() -> None:
    """Compile the files and add them to the pool where their imports are."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        includes = [f"-I{path}" for path in FOLDERS]
        assert protoc.main(["protoc", *includes, f"--descriptor_set_out={out}", *FILES]) == 0
        for file in FileDescriptorSet.FromString(out.read_bytes()).file:
            Default().AddSerializedFile(file.SerializeToString())
