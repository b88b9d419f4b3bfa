"""Compiles the trial APIs under tests/protos, which use every option the way real APIs will."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import grpc_tools
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import (
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_tools import protoc

from jobyard.rest.v1 import annotations_pb2 as rest

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "tests" / "protos"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
# Loaded for their descriptors: the trial files import them.
LOADED = (
    annotations_pb2,
    httpbody_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
    error_details_pb2,
    status_pb2,
    rest,
)


def compiled(*names: str, roots: tuple[Path, ...] = (PROTOS,)) -> FileDescriptorSet:
    """Compile proto files, with their comments and what they import."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "set.binpb"
        includes = [f"-I{root}" for root in (*roots, ROOT / "protos", WELL_KNOWN)]
        arguments = ["protoc", *includes, f"--descriptor_set_out={out}", "--include_imports"]
        assert protoc.main([*arguments, "--include_source_info", *names]) == 0, f"protoc refuses {names}"
        return FileDescriptorSet.FromString(out.read_bytes())


@cache
def load() -> None:
    """Put the trial APIs into the default pool."""
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("trial/**/*.proto"))
    pool = descriptor_pool.Default()
    for file in compiled(*names).file:
        if file.name.startswith("trial/"):
            pool.AddSerializedFile(file.SerializeToString())


def service(name: str) -> ServiceDescriptor:
    """Find a trial service: `orders.OrderService`."""
    load()
    area, _, short = name.partition(".")
    return descriptor_pool.Default().FindServiceByName(f"trial.{area}.v1.{short}")


def kind(name: str) -> type[Message]:
    """Find a trial message: `orders.Order`."""
    load()
    area, _, short = name.partition(".")
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"trial.{area}.v1.{short}"))


def make(name: str, /, **fields: Any) -> Message:
    """Make a trial message."""
    return kind(name)(**fields)


def pool_of(name: str, source: str, folder: Path) -> FileDescriptor:
    """Compile one file written for a single test, in a pool of its own."""
    (folder / name).write_text(source, encoding="utf-8")
    pool = descriptor_pool.DescriptorPool()
    for file in compiled(name, roots=(folder,)).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(name)
