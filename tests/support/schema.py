"""Databases that have the schema before a test begins: copying one is many times faster than making one."""

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from support.command import JOBYARD, environment


def upgrade(url: str) -> None:
    """Give a database the schema, as an operator would."""
    subprocess.run([JOBYARD, "db", "upgrade", "--database", url], env=environment(), check=True, capture_output=True)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    upgrade(f"sqlite:///{folder / 'template.db'}")
    return folder / "template.db"


def new_file(file: Path) -> str:
    """The URL of a file that has the schema and nothing in it."""
    shutil.copyfile(_template(), file)
    return f"sqlite:///{file}"
