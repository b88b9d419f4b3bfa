"""Loads the library that writes the log, without what it would load to paint tracebacks in colours.

Where it finds ``rich`` it loads it, and with it what highlights forty programming languages: seven MiB that a server
never uses, for its lines are plain.
"""

from __future__ import annotations

import importlib
import sys


def load() -> None:
    """Load it before anybody else does; ``rich`` can be loaded afterwards as ever."""
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    # What stands here as None counts as not installed.
    sys.modules["rich"] = None  # type: ignore[assignment] # None is what it understands
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
