"""Finding the method of a request among 10 to 10,000 routes.

CPU time of a lookup; ratios to 10 routes are medians over rounds in which all sizes follow one another, so that drift
of the machine cancels out. Asked for one path again and again, a lookup costs the same among any number of routes: that
is the goal. Paths all over the surface show what memory adds: of ten thousand routes the one that is asked for is
rarely in the cache of the core.
Run: ``python benchmarks/transcoding/routes.py``, with ``ROUNDS`` in the environment to look longer.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from pathlib import Path

from jobyard_server.transcoding.router import Found, Route, Router
from jobyard_server.transcoding.template import parse

sys.path.insert(0, str(Path(__file__).parents[1]))

from _measure import median_ratio, print_table

ROUNDS = int(os.environ.get("ROUNDS", "15"))
SIZES = (10, 100, 1000, 10_000)
LOOKUPS = 5000
GOAL = 1.25
KINDS = {
    "/v1/kind7": ("/v1/kind{}", "/v1/kind{}"),
    "/v1/kind7/{id}": ("/v1/kind{}/{{id}}", "/v1/kind{}/a1b2c3"),
    "/v1/kind7/{id}:run": ("/v1/kind{}/{{id}}:run", "/v1/kind{}/a1b2c3:run"),
    "/v1/{name=kind7/**}/parts": ("/v1/{{name=kind{}/**}}/parts", "/v1/kind{}/a/b/c/parts"),
    "nothing": ("/v1/kind{}/{{id}}", "/v1/kind{}/a1b2c3/none"),
}


def main() -> None:
    """Measure, print, and fail when a lookup depends on the number of routes."""
    again, all_over, missed = [], [], []
    for kind, (template, path) in KINDS.items():
        routers = [router(template, size) for size in SIZES]
        assert isinstance(routers[0].find("GET", path.format(7)), Found) == (kind != "nothing")
        again.append((kind, *compare(routers, [[path.format(7)] * LOOKUPS for _ in SIZES])))
        all_over.append((kind, *compare(routers, [paths(path, size) for size in SIZES])))
        missed += [kind] if again[-1][-1] > GOAL else []
    head = ("path", *(f"{size:,} routes us" for size in SIZES), f"{SIZES[-1]:,} to {SIZES[0]}")
    print_table("CPU of a lookup, one path again and again", head, again)
    print(f"goal: at most {GOAL}")
    print_table("CPU of a lookup, paths all over the surface", head, all_over)
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def compare(routers: list[Router[int]], asked: list[list[str]]) -> tuple[float, ...]:
    """Give the cost of a lookup by each router, and the ratio of the last to the first."""
    rounds = [[cost(*pair) for pair in zip(routers, asked, strict=True)] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return (*medians, median_ratio([(each[-1], each[0]) for each in rounds]))


def router(template: str, size: int) -> Router[int]:
    """Make a router of so many routes."""
    return Router([Route("GET", parse(template.format(number)), number, f"Get{number}") for number in range(size)])


def paths(path: str, size: int) -> list[str]:
    """Choose paths to ask for, the same for every run."""
    chosen = random.Random(size)  # noqa: S311 - no secret
    return [path.format(chosen.randrange(size)) for _ in range(LOOKUPS)]


def cost(found: Router[int], asked: list[str]) -> float:
    """Measure one lookup, in microseconds."""
    find = found.find
    began = time.process_time()
    for path in asked:
        find("GET", path)
    return (time.process_time() - began) / len(asked) * 1e6


if __name__ == "__main__":
    main()
