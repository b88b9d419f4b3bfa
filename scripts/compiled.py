"""Compiles the hot path to machine code, with mypyc; hatchling calls it for wheels and for editable installs.

What is compiled is ordinary Python that runs as it is where there is no compiler, only slower. `JOBYARD_COMPILED=no` asks
for that, `yes` fails where nothing can be compiled. Run by hand it compiles in place what has changed:
``python scripts/compiled.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object  # type: ignore[misc,assignment]

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "server"
TRANSCODING = Path("jobyard_server/transcoding")
GROUP = "jobyard_server.transcoding.native"
MODULES = (
    *("answers", "app", "backend", "binding", "bodies", "budget", "disconnects", "headers", "http_connection"),
    *("http_exchange", "media", "operation", "percent", "printing", "reply", "requests", "sending", "visit"),
    *("codec/decode_struct", "codec/encode_struct", "codec/times", "codec/wire/decode_values", "codec/wire/encode_values", "codec/wire/varints"),
)
SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

group, config, target, *files = sys.argv[1:]
extensions = mypycify(
    ["--config-file", config, *files], opt_level="3", debug_level="0", group_name=group, target_dir=target
)
setup(name="jobyard", packages=[], ext_modules=extensions, script_args=["build_ext", "--build-lib", ".", "--build-temp", target])
"""
# Types of other modules are not asked for: what comes from there is taken as it comes, whatever is installed.
CONFIG = """
[mypy]
follow_imports = skip
ignore_missing_imports = true
explicit_package_bases = true
mypy_path = {server}
cache_dir = {cache}
disable_error_code = misc
"""


def compiled(into: Path) -> list[Path]:
    """Compile into this folder, laid out like `server`; give what was made."""
    files = [TRANSCODING / f"{each}.py" for each in MODULES]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        for file in files:
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SERVER / file, tree / file)
        for each in {tree / parent for file in files for parent in file.parents} - {tree}:
            (each / "__init__.py").touch()
        config = Path(folder, "mypy.ini")
        config.write_text(CONFIG.format(server=tree, cache=Path(folder, "cache")))
        command = [sys.executable, "-c", SETUP, GROUP, str(config), str(Path(folder, "build")), *map(str, files)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"nothing could be compiled:\n{done.stdout}{done.stderr}")
        made = []
        for found in tree.rglob("*.so"):
            target = into / found.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found, target)
            made.append(target)
    return made


if __name__ == "__main__":
    print(*compiled(SERVER), sep="\n")
