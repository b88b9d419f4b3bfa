"""Data producers of tests: programs that a worker runs for their queue."""

from __future__ import annotations

import sys
from pathlib import Path

from support.running import Server, Worker

REPORT = """
import json, os, sys
body = sys.stdin.buffer.read()
open(os.environ["JOBYARD_JOB"] + ".seen", "wb").write(body)
said = json.loads(body)
if any(one["op"] == "fail" for one in said["data"]):
    sys.exit(3)
if any(one["op"] == "wait" for one in said["data"]):
    import time
    time.sleep(60)
answers = [{"operationId": one.get("operationId"), "statusCode": 0} for one in said["data"]]
with open(os.environ["JOBYARD_RESULT_FILE"], "w") as file:
    file.write(" " + json.dumps(answers, indent=1, ensure_ascii=False) + "\\n")
"""
ECHO = """
import os, shutil, sys
with open(os.environ["JOBYARD_RESULT_FILE"], "wb") as file:
    shutil.copyfileobj(sys.stdin.buffer, file)
"""


def producers(server: Server, *queues: str, program: str = REPORT, name: str = "worker") -> Worker:
    """A worker that runs the program for some queues; what each job got is kept in `N.seen`."""
    file = server.folder / f"{name}.py"
    file.write_text(f"import os\nos.chdir({str(server.folder)!r})\n{program}")
    command = f"{sys.executable} {file}"
    more = [part for queue in queues[1:] for part in ("--queue", queue)]
    return Worker(server, queues[0], command, *more, name=name)


def seen(server: Server, job: str) -> bytes:
    """What the program of a job got."""
    return Path(server.folder / f"{job}.seen").read_bytes()
