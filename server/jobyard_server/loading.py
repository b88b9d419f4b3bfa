"""What goes before everything else a server loads, so that it is loaded with less time and memory."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Final

GC_THRESHOLDS: Final = (20_000, 20, 20)
"""New objects between two collections of the youngest, and collections between those of the older ones. Rows, messages
and code hold no circles, so that looking for some after every 700 of them costs more than it finds."""


def begin() -> None:
    """Begin, before anything else is loaded."""
    gc.set_threshold(*GC_THRESHOLDS)
    _load_log()


def _load_log() -> None:
    """Load the library that writes the log, without what it would load to paint tracebacks in colours.

    Where it finds ``rich`` it loads it, and with it what highlights forty programming languages: seven MiB that a
    server never uses, for its lines are plain. ``rich`` can be loaded afterwards as ever.
    """
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    # What stands here as None counts as not installed.
    sys.modules["rich"] = None  # type: ignore[assignment] # None is what it understands
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
