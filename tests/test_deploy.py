"""What `deploy/` says about the program is true: its settings exist, its commands parse, its figures are measured."""

import re
import shlex
import urllib.request
from pathlib import Path

import click
import pytest
import typer
import yaml

from jobyard_server.callers.token_file import Entry, create
from jobyard_server.cli.app import app
from jobyard_server.settings import load, unknown
from support.running import Server

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
MANIFESTS = [
    manifest
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(file.read_text())
]
CONTAINERS = {
    container["name"]: container
    for manifest in MANIFESTS
    if manifest["kind"] == "Deployment"
    for container in manifest["spec"]["template"]["spec"]["containers"]
}
SETTINGS = next(manifest["data"] for manifest in MANIFESTS if manifest["kind"] == "ConfigMap")
IMAGE = dict(re.findall(r"(JOBYARD_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text()))

ENVIRONMENTS = {
    "image": IMAGE,
    "compose server": COMPOSE["server"]["environment"],
    "compose worker": COMPOSE["worker"]["environment"],
    "kubernetes settings": SETTINGS,
    "kubernetes server": {entry["name"]: entry.get("value", "") for entry in CONTAINERS["server"]["env"]},
    "kubernetes worker": {entry["name"]: entry.get("value", "") for entry in CONTAINERS["worker"]["env"]},
}
COMMANDS = {
    "compose server": COMPOSE["server"]["command"],
    "compose worker": COMPOSE["worker"]["command"],
    "kubernetes server": CONTAINERS["server"]["args"],
    "kubernetes worker": CONTAINERS["worker"]["args"],
}


@pytest.mark.parametrize("place", ENVIRONMENTS)
def test_every_setting_exists(place):
    assert unknown(ENVIRONMENTS[place]) == []


@pytest.mark.parametrize("place", COMMANDS)
def test_every_command_parses(place):
    name, *arguments = COMMANDS[place]
    group = typer.main.get_command(app)
    command = group.get_command(click.Context(group), name)
    command.make_context(name, arguments)


def test_the_worker_of_the_example_runs_a_program_of_ours():
    for place in ("compose worker", "kubernetes worker"):
        program = shlex.split(COMMANDS[place][COMMANDS[place].index("--exec") + 1])
        assert program == ["python", "-m", "jobyard_server.worker.echo"]


def test_a_server_starts_with_the_settings_of_the_manifests(monkeypatch):
    for name, value in (SETTINGS | ENVIRONMENTS["kubernetes server"]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JOBYARD_DATABASE", "postgresql://jobyard:secret@database/jobyard")
    settings = load()
    assert settings.guarded
    assert settings.grpc == "0.0.0.0:50051"
    ports = {port["name"]: port["containerPort"] for port in CONTAINERS["server"]["ports"]}
    assert ports == {
        "grpc": int(settings.grpc.rpartition(":")[2]),
        "https": int(settings.rest.rpartition(":")[2]),
        "metrics": int(settings.metrics.rpartition(":")[2]),
    }


def test_calls_in_progress_have_the_time_to_end_before_they_are_killed():
    drain = float(SETTINGS["JOBYARD_DRAIN_SECONDS"])
    pod = next(m for m in MANIFESTS if m["kind"] == "Deployment" and m["metadata"]["name"] == "jobyard")
    assert pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > drain + 5 + 10


def test_every_figure_that_alerts_and_autoscalers_look_at_is_measured(tmp_path):
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    wanted = {name for rule in rules for name in re.findall(r"jobyard_\w+", rule["expr"])}
    wanted |= {
        metric["external"]["metric"]["name"]
        for manifest in MANIFESTS
        if manifest["kind"] == "HorizontalPodAutoscaler"
        for metric in manifest["spec"]["metrics"]
        if metric["type"] == "External"
    }
    create(tmp_path / "tokens.yaml", Entry("a", "", "ann", roles=("admin",)))
    settings = {"JOBYARD_AUTH_TOKENS": str(tmp_path / "tokens.yaml"), "JOBYARD_PLAINTEXT": "true"}
    with Server(tmp_path, **settings) as server, urllib.request.urlopen(f"{server.url}/metrics") as page:
        shown = set(re.findall(r"(?m)^# TYPE (\w+)", page.read().decode()))
    assert wanted <= shown
