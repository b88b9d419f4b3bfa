"""The console command as tests run it, and the environment it runs in."""

import os
import sys
from pathlib import Path

JOBYARD = str(Path(sys.executable).with_name("jobyard"))


def environment(**settings: str) -> dict[str, str]:
    """The environment of a program under test: nothing of ours but what is said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBYARD_")}
    return kept | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"} | settings
