"""REST by the transcoder, by Envoy before a gRPC server, and by FastAPI: CPU of GET and POST of the same job.

All run beside each other in one run; a round asks each in turn, ratios are medians over rounds. What is measured is the
CPU time of everything that serves: for Envoy that is Envoy and the gRPC server behind it.
Run: ``python benchmarks/transcoding/ways.py``, with ``ROUNDS`` and ``SECONDS`` in the environment to look longer.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]

from _measure import cpu_seconds, median_ratio, print_table
from codec import job

from jobyard_server.transcoding.codec import compile_encoder
from support.envoy import BINARY, configuration, free_port
from support.trial import PROTOS, compiled

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "1.5"))
CLIENTS = 16
ENVOY_GOAL, FASTAPI_GOAL = 0.2, 0.75
OURS, ENVOY, FASTAPI = "transcoder", "Envoy and gRPC", "FastAPI and pydantic"


@dataclass(frozen=True)
class Way:
    """One way of serving the two endpoints."""

    name: str
    port: int
    pids: tuple[int, ...]

    def cpu(self) -> float:
        """Seconds that all its processes have used."""
        return sum(cpu_seconds(pid) for pid in self.pids)


async def main() -> None:
    """Measure and print."""
    body = compile_encoder(job(7).DESCRIPTOR)(job(7))
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        ways = [stack.enter_context(way) for way in (ours(), envoy(Path(folder)), fastapi())]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            for way in ways:
                await same_answer(session, way, body)
                for verb in ("GET", "POST"):
                    await cost(session, way, verb, body, 0.3)
            costs = {
                verb: [[await cost(session, way, verb, body, SECONDS) for way in ways] for _ in range(ROUNDS)]
                for verb in ("GET", "POST")
            }
    report(costs)


async def same_answer(session: aiohttp.ClientSession, way: Way, body: bytes) -> None:
    """See that all ways answer the same before it counts how fast they do."""
    async with session.get(f"http://127.0.0.1:{way.port}/v1/jobs/x") as answer:
        found = await answer.json()
    wanted = json.loads(body)
    if found["uid"] != wanted["uid"] or found["labels"] != wanted["labels"] or wanted.keys() - found.keys():
        raise SystemExit(f"{way.name} answers otherwise: {found}")


async def cost(session: aiohttp.ClientSession, way: Way, verb: str, body: bytes, seconds: float) -> float:
    """Measure the CPU microseconds of a request."""
    url = f"http://127.0.0.1:{way.port}/v1/jobs" + ("/0f8fad5b-d9cb-469f-a165-000000000007" if verb == "GET" else "")
    data = body if verb == "POST" else None
    headers = {"Content-Type": "application/json"} if verb == "POST" else {}
    answered = 0
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def client() -> None:
        nonlocal answered
        while loop.time() < until:
            async with session.request(verb, url, data=data, headers=headers) as answer:
                await answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{way.name}: {verb} {answer.status} {await answer.text()}")
            answered += 1

    before = way.cpu()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return (way.cpu() - before) / answered * 1e6


def report(costs: dict[str, list[list[float]]]) -> None:
    """Print the table and say which goals are missed."""
    rows: list[tuple[object, ...]] = []
    missed = []
    for verb, rounds in costs.items():
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        to_envoy = median_ratio([(each[0], each[1]) for each in rounds])
        to_fastapi = median_ratio([(each[0], each[2]) for each in rounds])
        rows.append((verb, *medians, to_envoy, to_fastapi))
        missed += [f"{verb} to Envoy {to_envoy:.2f}"] if to_envoy > ENVOY_GOAL else []
        missed += [f"{verb} to FastAPI {to_fastapi:.2f}"] if to_fastapi > FASTAPI_GOAL else []
    head = ("", f"{OURS} us", f"{ENVOY} us", f"{FASTAPI} us", "to Envoy", "to FastAPI")
    print_table(f"CPU of one request for a job of 27 fields, {CLIENTS} clients", head, rows)
    print(f"goals: at most {ENVOY_GOAL} of Envoy, {FASTAPI_GOAL} of FastAPI")
    if missed:
        print(f"missed: {', '.join(missed)}")


@contextmanager
def started(kind: str) -> Iterator[tuple[int, int]]:
    """Start one server; give its port and process."""
    command = [sys.executable, str(HERE / "_serving.py"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


@contextmanager
def ours() -> Iterator[Way]:
    """Start the transcoder."""
    with started("transcoder") as (port, pid):
        yield Way(OURS, port, (pid,))


@contextmanager
def fastapi() -> Iterator[Way]:
    """Start FastAPI."""
    with started("fastapi") as (port, pid):
        yield Way(FASTAPI, port, (pid,))


@contextmanager
def envoy(folder: Path) -> Iterator[Way]:
    """Start Envoy and the gRPC server behind it."""
    descriptors = folder / "set.binpb"
    descriptors.write_bytes(compiled("jobs.proto", roots=(HERE, PROTOS)).SerializeToString())
    with started("grpc") as (upstream, pid):
        listen = free_port()
        settings = folder / "envoy.json"
        settings.write_text(json.dumps(configuration(descriptors, ["bench.v1.JobService"], listen, upstream)))
        command = [str(BINARY), "-c", str(settings), "--use-dynamic-base-id", "--concurrency", "1", "-l", "off"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(listen)
                yield Way(ENVOY, listen, (pid, process.pid))
            finally:
                process.terminate()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nobody listens on {port}")


if __name__ == "__main__":
    asyncio.run(main())
