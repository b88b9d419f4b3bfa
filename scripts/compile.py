"""Compiles the way of a request to machine code, by mypyc; `make setup` calls it, and hatchling for every install.

What is compiled is Python that runs as it is too, only slower: so it does where there is no C compiler, and with
`JOBYARD_COMPILED=no`. With `yes` it is an error when nothing can be compiled.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from typing_extensions import override

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by hand, where hatchling need not be
    BuildHookInterface = object  # type: ignore[assignment,misc] # nothing of it is used then

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "server"
ROOM = Path("jobyard_server/transcoding")
MODULES = tuple(
    ROOM / f"{name}.py"
    for name in (
        *("answers", "app", "binding", "bodies", "budget", "disconnects", "headers", "http_connection"),
        *("http_exchange", "media", "operation", "percent", "printing", "reply", "requests", "sending", "visit"),
        *("codec/decode_struct", "codec/decoder", "codec/encode_messages", "codec/encode_struct", "codec/source"),
        *("codec/times", "codec/wire/decode_values", "codec/wire/encode_values", "codec/wire/varints"),
    )
)
"""What a request goes through. Rules for what is written in them: tests/test_compiled.py."""
STAMP = ROOM / "native.compiled"
"""Lies beside what was compiled, and says of which sources."""

# setuptools calls the compiler; all modules become one library, in which they call each other directly.
BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup

config, folder, *files = sys.argv[1:]
made = mypycify(
    ["--config-file", config, *files],
    opt_level="3",
    debug_level="0",
    group_name="jobyard_server.transcoding.native",
    target_dir=folder,
)
setup(name="jobyard", ext_modules=made, script_args=["-q", "build_ext", "--build-lib", ".", "--build-temp", folder])
"""
# Types of modules that are not compiled are not looked up: the same comes out whatever is installed. `make lint` has
# checked them.
CONFIG = """
[mypy]
follow_imports = skip
ignore_missing_imports = true
explicit_package_bases = true
disable_error_code = misc
cache_dir = {cache}
"""


def can_compile() -> bool:
    """Look for a C compiler and for Python's headers."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


def digest() -> str:
    """Tell apart what would be compiled differently: by sources, by this program, by Python."""
    content = hashlib.sha256(sys.version.encode())
    for path in (Path(__file__), *(SERVER / module for module in MODULES)):
        content.update(path.read_bytes())
    return content.hexdigest()


def compiled(folder: Path) -> list[Path]:
    """List what was compiled there, relative to it."""
    return sorted(path.relative_to(folder) for path in (folder / ROOM).rglob("*.so"))


def is_fresh(folder: Path = SERVER) -> bool:
    """Tell whether what was compiled there is what would be compiled now."""
    stamp = folder / STAMP
    return bool(compiled(folder)) and stamp.is_file() and stamp.read_text() == digest()


def clear(folder: Path) -> None:
    """Remove what was compiled there."""
    for path in compiled(folder):
        (folder / path).unlink()
    (folder / STAMP).unlink(missing_ok=True)


def compile_into(folder: Path) -> None:
    """Compile the modules into a folder that is laid out like `server`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        for module in MODULES:
            (tree / module).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SERVER / module, tree / module)
        for package in {parent for module in MODULES for parent in module.parents} - {Path()}:
            (tree / package / "__init__.py").touch()
        config = Path(scratch, "mypy.ini")
        config.write_text(CONFIG.format(cache=Path(scratch, "cache")))
        command = [sys.executable, "-c", BUILD, str(config), str(Path(scratch, "build")), *map(str, MODULES)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"mypyc: {done.stdout}{done.stderr}")
        clear(folder)
        for path in compiled(tree):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(tree / path, folder / path)
    (folder / STAMP).write_text(digest())


def is_wanted() -> bool:
    """Ask the environment, and the machine."""
    wanted = os.environ.get("JOBYARD_COMPILED", "")
    if wanted == "no":
        return False
    if can_compile():
        return True
    if wanted == "yes":
        raise SystemExit("JOBYARD_COMPILED=yes, but there is no C compiler with Python's headers")
    print("No C compiler with Python's headers: Jobyard runs as Python, which is slower.", file=sys.stderr)
    return False


def keep_up() -> None:
    """Bring what is compiled in the checkout up to date."""
    if not is_wanted():
        clear(SERVER)
    elif not is_fresh():
        compile_into(SERVER)


class CompileHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling wants its configuration named, mypy has none
    """Compiles a checkout that is installed to be edited, and adds to wheels what is compiled."""

    @override
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the checkout has what would come out."""
        if version == "editable":
            keep_up()
        elif is_wanted():
            folder = SERVER
            if not is_fresh():
                self._scratch = tempfile.TemporaryDirectory()
                folder = Path(self._scratch.name)
                compile_into(folder)
            build_data["force_include"] |= {str(folder / path): str(path) for path in compiled(folder)}
            build_data |= {"pure_python": False, "infer_tag": True}


if __name__ == "__main__":
    keep_up()
