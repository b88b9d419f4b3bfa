"""The process in which a function runs: limits itself, calls the function, and tells what it returned.

It is started with nothing but the standard library, reads what to do from standard input, and writes one JSON object
to a pipe: ``{"output": ..., "succeeded": true}``. What the function prints goes where this process prints.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import threading
import traceback
from typing import Any

THREAD_STACK = 1024 * 1024
"""A thread's stack counts as memory from the start, whatever it uses of it."""
FILE_BYTES = 64 * 1024 * 1024
OPEN_FILES = 256
PLAIN = "__function_input"


def main() -> None:
    """Do what standard input says."""
    request = json.loads(sys.stdin.buffer.read())
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - as long as the process lives
    _limit(request)
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    answer = _answer(request["entry"], request["input"])
    sys.stdout.flush()
    with os.fdopen(request["pipe"], "wb") as pipe:
        pipe.write(answer)


def _limit(request: dict[str, Any]) -> None:
    threading.stack_size(THREAD_STACK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_DATA, (request["memory"], request["memory"]))
    # SIGXCPU first; a function that ignores it is killed a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"], request["cpu_seconds"] + 1))


def _answer(entry: str, given: Any) -> bytes:
    try:
        output = _call(entry, given)
        return json.dumps({"output": output, "succeeded": True}, allow_nan=False).encode()
    except BaseException as problem:  # noqa: BLE001 - whatever a function raises is its own answer
        traceback.print_exc()
        text = str(problem) or type(problem).__name__
        return json.dumps({"output": text[:4096], "succeeded": False}).encode()


def _call(entry: str, given: Any) -> Any:
    module, _, name = entry.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    if given is None:
        return function()
    if isinstance(given, dict) and PLAIN in given:
        rest = {key: value for key, value in given.items() if key != PLAIN}
        return function(given[PLAIN], **rest)
    return function(**given)


if __name__ == "__main__":
    main()
