"""Writes generated/ from protos/: Python modules, their type stubs and the compiled descriptors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"
WELL_KNOWN_TYPES = Path(grpc_tools.__file__).parent / "_proto"

# Vendored files that a Python package already brings as modules are compiled but not generated.
# buf/validate is generated: the package that enforces its rules ships no module for protobuf's runtime.
IMPORTED = ("google/",)
VENDORED = ("google/", "buf/")


def main(argv: list[str]) -> None:
    """Replace the folder named by the only argument, generated/ without one."""
    target = Path(argv[0]) if argv else GENERATED
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        replace(target, fresh)


def generate(out: Path) -> None:
    """Compile every proto into the empty folder `out`."""
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    ours = [name for name in names if not name.startswith(IMPORTED)]
    services = [name for name in ours if name.endswith("_service.proto")]
    compile_protos(
        [
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--descriptor_set_out={out / 'descriptors.binpb'}",
            "--include_imports",
            "--include_source_info",
        ],
        ours,
    )
    if services:
        compile_protos([f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"], services)
    make_packages(out)
    drop_vendored_comments(out / "descriptors.binpb")
    print_openapi(out)


def compile_protos(options: list[str], names: list[str]) -> None:
    """Run protoc, which has already printed why when it fails."""
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    arguments = ["protoc", f"-I{PROTOS}", f"-I{WELL_KNOWN_TYPES}", *plugins, *options, *names]
    if protoc.main(arguments) != 0:
        raise SystemExit(1)


def print_openapi(out: Path) -> None:
    """Print the OpenAPI documents in a process of its own, which imports what has just been generated."""
    path = os.pathsep.join([str(out), str(ROOT / "server")])
    program = str(Path(__file__).with_name("print_openapi.py"))
    subprocess.run([sys.executable, program, str(out / "openapi")], env=os.environ | {"PYTHONPATH": path}, check=True)


def make_packages(out: Path) -> None:
    """Turn the folders under jobyard into typed packages.

    buf stays a namespace without `__init__.py`, because other distributions may add to it.
    """
    package = out / "jobyard"
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        name = ".".join(folder.relative_to(out).parts)
        text = f'"""Generated from the protos of {name}; do not edit."""\n'
        (folder / "__init__.py").write_text(text, encoding="utf-8")
    (package / "py.typed").touch()


def drop_vendored_comments(path: Path) -> None:
    """Keep the comments of our own files only: those of the vendored ones would be most of the bytes."""
    descriptors = FileDescriptorSet.FromString(path.read_bytes())
    for file in descriptors.file:
        if file.name.startswith(VENDORED):
            file.ClearField("source_code_info")
    path.write_bytes(descriptors.SerializeToString(deterministic=True))


def replace(target: Path, fresh: Path) -> None:
    """Make `target` equal to `fresh`; what no proto asks for any more is removed."""
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    present = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    for stale in present - wanted:
        (target / stale).unlink()
    for folder in sorted((path for path in target.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    for name in wanted:
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fresh / name, destination)


if __name__ == "__main__":
    main(sys.argv[1:])
