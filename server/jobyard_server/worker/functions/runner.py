"""One execution: the package is fetched and unpacked, its function called in a process of its own, and watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from jobyard.qinling.v1 import package_service_pb2, package_service_pb2_grpc
from jobyard_server import archive
from jobyard_server.client.channel import Address
from jobyard_server.worker.functions import cache

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
INTERPRETER: Final = 32 * 1024 * 1024
"""Memory that Python itself needs, on top of what a function may use."""
ANSWER_BYTES: Final = 1024 * 1024
LOOK_SECONDS: Final = 0.1
"""Between two looks at what a function uses."""
STARTING_SECONDS: Final = 2.0
"""The time of a function counts from its call; Python gets so long to start."""

FAILED: Final = 1
NOT_RUN: Final = 70

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class NotRunError(Exception):
    """The function could not be called; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages come from."""

    server: str
    ca: Path | None
    """Certificates to trust instead of the usual ones."""
    patience: float
    """Seconds."""
    cache: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended."""

    succeeded: bool
    output: Any
    duration: float


def run(source: Source) -> int:
    """Run the execution on standard input; the exit code."""
    result = Path(os.environ["JOBYARD_RESULT_FILE"])
    # Without it the last line that a function prints could pass for the result.
    result.write_text("{}", encoding="utf-8")
    payload = json.loads(sys.stdin.buffer.read())
    print(f"Start execution: {payload['execution']}", flush=True)
    try:
        folder = _unpacked(payload, source, result.parent)
    except NotRunError as problem:
        print(f"Not executed: {problem}", flush=True)
        return NOT_RUN
    outcome = _called(payload, folder)
    print(f"Finished execution: {payload['execution']}", flush=True)
    told = {"duration": round(outcome.duration, 3), "output": outcome.output}
    result.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    return 0 if outcome.succeeded else FAILED


# --- the package -----------------------------------------------------------------------------------------------------


def _unpacked(payload: dict[str, Any], source: Source, folder: Path) -> Path:
    content = cache.find(source.cache, payload["sha256"])
    if content is None:
        try:
            content = asyncio.run(_fetched(source, payload["package"]))
        except (grpc.RpcError, OSError, ValueError) as problem:
            said = problem.details() if isinstance(problem, grpc.aio.AioRpcError) else str(problem)
            raise NotRunError(f"the package cannot be fetched: {said}") from None
        cache.keep(source.cache, content)
    target = folder / "package"
    target.mkdir()
    try:
        archive.unpack(content, target)
    except archive.ArchiveError as problem:
        raise NotRunError(f"the package {problem}") from None
    return target


async def _fetched(source: Source, token: str) -> bytes:
    request = package_service_pb2.GetPackageRequest(package=token)
    async with Address.of(source.server, ca=source.ca).open() as channel:
        stub = package_service_pb2_grpc.PackageServiceStub(channel)
        answer = await stub.GetPackage(request, timeout=source.patience, wait_for_ready=True)
        return bytes(answer.content)


# --- the call --------------------------------------------------------------------------------------------------------


def _called(payload: dict[str, Any], folder: Path) -> Outcome:
    reading, writing = os.pipe()
    memory = payload["memory"] + INTERPRETER
    request = {
        "folder": str(folder),
        "pipe": writing,
        "entry": payload["entry"],
        "input": payload["input"],
        "memory": memory,
        "cpu_seconds": 1 + math.ceil(payload["timeout"] * payload["cpu"] / 1000),
    }
    passed = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-u", str(LAUNCHER)],
        stdin=subprocess.PIPE,
        pass_fds=[writing],
        env={**passed, "HOME": str(folder), "TMPDIR": str(folder)},
        # Whatever it starts is found in its group; the worker finds all of it in the session.
        process_group=0,
    ) as process:
        os.close(writing)
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode())
                process.stdin.close()
            watched = _Watch(process, reading, memory, began + payload["timeout"] + STARTING_SECONDS)
            answer = watched.until_the_end()
        finally:
            os.close(reading)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return _outcome(process.returncode, answer, watched.ended_for, time.monotonic() - began)


class _Watch:
    """Looks after a call: reads its answer, and ends it when it takes too long or too much."""

    def __init__(self, process: subprocess.Popen[bytes], reading: int, memory: int, until: float) -> None:
        self._process = process
        self._reading = reading
        self._memory = memory
        self._until = until
        self.ended_for = ""

    def until_the_end(self) -> bytes:
        """What the function answered, as far as it did."""
        answer = bytearray()
        os.set_blocking(self._reading, False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._reading, selectors.EVENT_READ)
            while not self.ended_for:
                selector.select(LOOK_SECONDS)
                ended = self._process.poll() is not None
                if self._read(answer) or ended:
                    break
                self._judge(len(answer))
        if self.ended_for:
            self._process.kill()
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_SECONDS)
        return bytes(answer)

    def _read(self, answer: bytearray) -> bool:
        """Take what is there; whether that was all."""
        while len(answer) <= ANSWER_BYTES:
            try:
                piece = os.read(self._reading, 64 * 1024)
            except BlockingIOError:
                return False
            if not piece:
                return True
            answer += piece
        return False

    def _judge(self, answered: int) -> None:
        if time.monotonic() > self._until:
            self.ended_for = "Function execution timeout."
        elif answered > ANSWER_BYTES:
            self.ended_for = f"The function returned more than {ANSWER_BYTES} bytes."
        elif _resident(self._process.pid) > self._memory:
            self.ended_for = "The function used more memory than it may."


def _resident(group: int) -> int:
    """Main memory of all processes of a group, in bytes."""
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
                # Behind the name, which may hold anything.
                fields = text.rpartition(")")[2].split()
                if int(fields[2]) == group:
                    total += int(fields[21]) * _PAGE
    return total


def _outcome(status: int, answer: bytes, ended_for: str, duration: float) -> Outcome:
    if ended_for:
        return Outcome(succeeded=False, output=ended_for, duration=duration)
    try:
        said = json.loads(answer)
        return Outcome(succeeded=said["succeeded"] is True, output=said["output"], duration=duration)
    except (ValueError, KeyError, TypeError):
        pass
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        text = "The function used more processor time or memory than it may."
    else:
        text = "The function ended without an answer."
    return Outcome(succeeded=False, output=text, duration=duration)
