"""A login is good for every process of a server, and outlives them."""

import json
import urllib.parse
import urllib.request

import pytest

from support.callers import CHEAP
from support.running import Server

USERS = {"pat": {"password": CHEAP.hash("pat's password"), "roles": ["Users"]}}


class Patient(Server):
    """Two processes take longer to start than one."""

    def wait_until_ready(self, seconds=120.0):
        return super().wait_until_ready(seconds)


@pytest.mark.timeout(300)
def test_whichever_process_gave_a_token_all_of_them_take_it(tmp_path):
    server = Patient(tmp_path, JOBYARD_PROCESSES="2", JOBYARD_AUTH_USERS=json.dumps(USERS))
    with server:
        form = urllib.parse.urlencode({"username": "pat", "password": "pat's password"}).encode()
        with urllib.request.urlopen(f"{server.url}/ghibli-rest/v2/login", form, timeout=60) as answer:
            token = json.load(answer)["access_token"]

        def ask():
            place = f"{server.url}/ghibli-rest/v2/job-manager/jobs"
            request = urllib.request.Request(place, headers={"Authorization": f"Bearer {token}"})
            # Each request makes a connection of its own, and the kernel gives it to either process.
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status

        assert [ask() for _ in range(12)] == [200] * 12
    with server:
        assert ask() == 200
    assert token not in server.text()
