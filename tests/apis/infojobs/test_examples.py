"""The example producer gets the jobs of its type."""

import subprocess
import sys
from pathlib import Path

from apis.infojobs.yard import eventually

EXAMPLE = Path(__file__).parents[3] / "examples" / "infojobs" / "producer.py"


def test_the_example_producer(yard):
    with subprocess.Popen([sys.executable, EXAMPLE, yard.server.url], stdout=subprocess.PIPE, text=True) as producer:
        try:
            job = {"info_type_id": "counters_1.0.0", "job_owner": "me", "job_definition": {"names": ["a"]}}
            path = "/data-consumer/v1/info-jobs/my-job"
            eventually(lambda: registered(yard))
            assert yard.ask("PUT", path, job).status == 201
            assert producer.stdout.readline() == 'start my-job {"names": ["a"]}\n'
            assert yard.ask("DELETE", path).status == 204
            assert producer.stdout.readline() == "stop my-job\n"
        finally:
            producer.kill()


def registered(yard):
    assert yard.ask("GET", "/data-producer/v1/info-producers").json == ["counters"]
