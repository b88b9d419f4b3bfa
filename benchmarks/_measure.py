"""What the benchmarks share: a server of their own, its CPU time, rates and medians, and a table."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.running import Server

__all__ = ["QUIET", "Result", "Server", "cpu_seconds", "drive", "median_ratio", "print_table"]

QUIET = {"JOBYARD_LOG_CALLS": "false", "JOBYARD_LOG_CHANGES": "false"}
"""Settings of a server that logs no calls."""

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Result:
    """One measured run."""

    rate: float
    """Requests answered per second."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""
    cpu: float
    """CPU microseconds of the server per request."""


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def drive(pid: int, request: Callable[[int], Awaitable[object]], *, clients: int, seconds: float) -> Result:
    """Send requests from so many clients at once for so long; each waits for its answer."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        count = number
        while (began := time.perf_counter()) < until:
            await request(count)
            took.append(time.perf_counter() - began)
            count += clients

    before, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    elapsed, used = time.perf_counter() - began, cpu_seconds(pid) - before
    quantiles = statistics.quantiles(took, n=100) if len(took) > 1 else [took[0]] * 99
    return Result(len(took) / elapsed, quantiles[49] * 1e3, quantiles[98] * 1e3, used / len(took) * 1e6)


def median_ratio(pairs: list[tuple[float, float]]) -> float:
    """The median of the ratios of pairs measured one after the other, so that drift of the machine cancels out."""
    return statistics.median(a / b for a, b in pairs)


def print_table(title: str, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print rows under a heading, floats with one or three digits."""
    text = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(head), *text]) for column in range(len(head))]
    print(f"\n{title}")
    for line in [list(head), ["-" * width for width in widths], *text]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)
