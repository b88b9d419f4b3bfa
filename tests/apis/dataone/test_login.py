"""Login by form: the token it gives works as any other does, by both doors."""

import json
import subprocess
import time

import grpc
import pytest

from apis.dataone.yard import JOBS, Yard
from jobyard.dataone.v1 import job_service_pb2, login_service_pb2, login_service_pb2_grpc
from support.command import JOBYARD, environment

LOGIN = "/ghibli-rest/v2/login"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PASSWORD = "correct horse & battery+staple"
GOOD = b"username=ann&password=correct+horse+%26+battery%2Bstaple"


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    printed = subprocess.run(
        [JOBYARD, "token", "password"], input=f"{PASSWORD}\n", env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    users = json.dumps({"ann": {"password": printed.stdout.strip(), "roles": ["Users"]}})
    found = Yard(tmp_path_factory.mktemp("login"), users={}, JOBYARD_AUTH_USERS=users, JOBYARD_AUTH_SESSION_SECONDS="4")
    found.start()
    yield found
    found.stop()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_form_gives_a_token_that_may_what_its_user_may(yard):
    answer = yard.ask(None, "POST", LOGIN, GOOD, FORM)
    assert answer.status == 200, answer.body
    token = answer.json["access_token"]
    assert answer.json == {"access_token": token, "token_type": "Bearer", "expires_in": 4}
    assert answer.headers["cache-control"] == "no-store"
    assert yard.ask(None, "GET", JOBS, headers=bearer(token)).status == 200
    body, media = b'{"contractName": "a", "actionName": "b"}', {"Content-Type": "application/json"}
    assert yard.ask(None, "POST", JOBS, body, {**media, **bearer(token)}).status == 403
    metadata = (("authorization", f"Bearer {token}"),)
    assert yard.dataone.ListJobs(job_service_pb2.ListJobsRequest(), metadata=metadata, timeout=60) is not None
    said = yard.server.text()
    assert token not in said
    assert "battery" not in said


def test_the_token_ends(yard):
    token = yard.ask(None, "POST", LOGIN, GOOD, FORM).json["access_token"]
    time.sleep(4.1)
    assert yard.ask(None, "GET", JOBS, headers=bearer(token)).status == 401


def test_the_same_over_grpc(yard):
    stub = login_service_pb2_grpc.LoginServiceStub(yard.channel)
    request = login_service_pb2.LoginRequest(username="ann", password=PASSWORD)
    assert stub.Login(request, timeout=60).token_type == "Bearer"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Login(login_service_pb2.LoginRequest(username="ann", password="wrong"), timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"username=ann&password=wrong", FORM, 401),
        (b"username=eve&password=wrong", FORM, 401),
        (b"username=ann", FORM, 400),
        (b"username=&password=x", FORM, 400),
        (b"", FORM, 400),
        (b"username=ann&password=" + b"hunter2" * 1000, FORM, 400),
        (b'{"username": "ann", "password": "hunter2"}', {"Content-Type": "application/json"}, 415),
    ],
)
def test_what_is_wrong_is_told_without_the_password(yard, body, headers, status):
    answer = yard.ask(None, "POST", LOGIN, body, headers)
    assert answer.status == status, answer.body
    assert answer.json["error"]["code"] == status
    assert b"hunter2" not in answer.body
    assert "hunter2" not in yard.server.text()


def test_the_password_is_not_taken_from_the_url(yard):
    assert yard.ask(None, "POST", f"{LOGIN}?{GOOD.decode()}", b"", FORM).status == 400
