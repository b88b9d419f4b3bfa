"""Many submits at once: exactly one job for each key, and every other request gets that job."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from apis.dataone.expectations import check_job

REQUESTS, KEYS = 200, 20


@pytest.mark.parametrize("run", range(3))
def test_one_job_for_each_key(yard, run):
    ready = threading.Barrier(REQUESTS)

    def submit(number: int):
        ready.wait()
        return yard.submit(extIPID=f"{run}-{number % KEYS}", actionVariables={"n": number})

    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = list(pool.map(submit, range(REQUESTS)))
    assert Counter(answer.status for answer in answers) == {201: KEYS, 409: REQUESTS - KEYS}
    created = {answer.json["extIPID"]: answer.json["id"] for answer in answers if answer.status == 201}
    assert len(created) == len(set(created.values())) == KEYS
    for number, answer in enumerate(answers):
        check_job(answer.json)
        assert answer.json["extIPID"] == f"{run}-{number % KEYS}"
        assert answer.json["id"] == created[answer.json["extIPID"]]
    assert sorted(map(str, yard.ids())) == sorted(created.values())
    # The variables that count are those of the request that created the job.
    for number, answer in enumerate(answers):
        if answer.status == 201:
            assert json.loads(yard.payload(int(answer.json["id"])))["n"] == number
