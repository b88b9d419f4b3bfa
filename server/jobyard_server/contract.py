"""Finds what is generated from the protos but is not Python: the descriptors and the OpenAPI documents."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import jobyard


def descriptors() -> bytes:
    """Every message, service, option and comment of the contract, as a serialized FileDescriptorSet."""
    return _generated().joinpath("descriptors.binpb").read_bytes()


def openapi_names() -> list[str]:
    """The file names of the OpenAPI documents."""
    folder = _generated().joinpath("openapi")
    return sorted(document.name for document in folder.iterdir()) if folder.is_dir() else []


def openapi_document(name: str) -> bytes:
    """An OpenAPI document by its file name."""
    return _generated().joinpath("openapi", name).read_bytes()


def _generated() -> Traversable:
    """An installed wheel carries these files inside our package, a checkout beside the generated code."""
    installed = resources.files("jobyard_server").joinpath("_data")
    if installed.is_dir():
        return installed
    return Path(jobyard.__path__[0]).parent
