"""One server as NCMP and two as DMI services with workers: jobs split, done and folded, whatever fails in between."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from apis.ncmp.yard import Yard, eventually
from support.running import Server, Worker
from support.yarding import quick_server

PRODUCERS = ("p0", "p1", "p2", "p3")
TARGETS = 500
PROGRAM = """
import json, sys, time
operations = {one["op"] for one in json.load(sys.stdin)["data"]}
if "wait" in operations:
    time.sleep(60)
if "slow" in operations:
    time.sleep(3)
sys.exit(3 if "fail" in operations else 0)
"""


@dataclass
class Net:
    """The servers."""

    ncmp: Yard
    dmis: tuple[Server, Server]

    def write(self, *, odd: str = "add", at: int = -1, count: int = 10_000) -> str:
        """Hand in a job over all targets, whose operations at one producer are odd; its name."""
        name = f"job-{uuid4().hex[:8]}"
        data = [
            {
                "path": f"/Net=1/ME={number % TARGETS}/x={number}",
                "op": odd if number % TARGETS % len(PRODUCERS) == at else "add",
                "value": {"n": number},
            }
            for number in range(count)
        ]
        answer = self.ncmp.write(name, *data)
        assert answer.status == 200, answer
        assert {one["dataProducerId"] for one in answer.json} == set(PRODUCERS)
        assert all(one["subJobId"] for one in answer.json), answer.json
        return name

    def parts(self, name: str) -> dict[str, str]:
        """How the parts of a job stand, by producer."""
        return {one["dataProducerId"]: one["status"] for one in self.ncmp.job(name)["subJobs"]}


def of_dmi(server: Server, path: str) -> tuple[int, bytes]:
    """A GET at a DMI service."""
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def worker(server: Server, one: str, other: str) -> Worker:
    """A worker that does the jobs of two producers."""
    program = server.folder / "program.py"
    program.write_text(PROGRAM)
    more = ("--queue", f"ncmp/{other}", "--concurrency", "2")
    return Worker(server, f"ncmp/{one}", f"{sys.executable} {program}", *more)


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Iterator[Net]:
    folders: list[Path] = [tmp_path_factory.mktemp(name) for name in ("ncmp", "dmi-1", "dmi-2")]
    ncmp, first, second = Yard(folders[0]), quick_server(folders[1]), quick_server(folders[2])
    with ncmp.server, first, second:
        workers = [worker(first, *PRODUCERS[:2]), worker(second, *PRODUCERS[2:])]
        for at, server in enumerate((first, second)):
            targets = [
                {
                    "cmHandle": f"ch-{number}",
                    "alternateId": f"/Net=1/ME={number}",
                    "dataProducerIdentifier": PRODUCERS[number % len(PRODUCERS)],
                }
                for number in range(TARGETS)
                if number % len(PRODUCERS) // 2 == at
            ]
            assert ncmp.register(server.url, *targets).status == 200
        with workers[0], workers[1]:
            yield Net(ncmp, (first, second))


def test_a_job_of_four_producers_is_finished(net):
    name = net.write()
    assert net.ncmp.until(name, "FINSHED", 60)
    assert set(net.parts(name).values()) == {"FINSHED"}


def test_a_producer_that_fails_is_named(net):
    name = net.write(odd="fail", at=2)
    net.ncmp.until(name, "PARTIALLY_FAILED", 60)
    assert net.parts(name) == {"p0": "FINSHED", "p1": "FINSHED", "p2": "FAILED", "p3": "FINSHED"}


def test_a_dmi_service_that_is_killed_and_comes_back_loses_nothing(net):
    name = net.write(odd="slow", at=3)
    net.dmis[1].kill()
    eventually(lambda: any(one.get("stale") for one in net.ncmp.job(name)["subJobs"]), 30)
    net.dmis[1].start()
    assert net.ncmp.until(name, "FINSHED", 60)


def test_a_job_that_is_cancelled_in_the_middle_is_cancelled_at_its_dmi_services_too(net):
    name = net.write(odd="wait", at=0)
    eventually(lambda: sorted(net.parts(name).values()) == ["FINSHED", "FINSHED", "FINSHED", "RUNNING"], 60)
    id_ = next(one["subJobId"] for one in net.ncmp.job(name)["subJobs"] if one["dataProducerId"] == "p0")
    answer = net.ncmp.ask("DELETE", f"/ranoam/cm/v1/dataJob/{name}")
    assert (answer.status, answer.json["status"]) == (202, "CANCELLED")
    path = f"/dmi/v1/cmwriteJob/dataProducer/p0/dataProducerJob/{id_}/status"
    eventually(lambda: json.loads(of_dmi(net.dmis[0], path)[1]) == {"status": "CANCELLED"}, 30)
    assert net.ncmp.job(name)["status"] == "CANCELLED"
