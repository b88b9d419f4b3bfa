"""Where settings come from, which ones win, and what is said about wrong ones."""

import ast
import os
from itertools import pairwise
from pathlib import Path

import pytest

from jobyard_server import settings as module
from jobyard_server.settings import PREFIX, Settings, SettingsError, load, unknown


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """Nothing of the machine's own."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path):
    def write(text, name="jobyard.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_nothing_needs_to_be_said():
    settings = load()
    assert (settings.grpc, settings.rest, settings.lease_seconds) == ("127.0.0.1:50051", "127.0.0.1:8080", 30.0)


def test_options_win_over_the_environment_over_the_file(file, monkeypatch):
    config = file('grpc = "127.0.0.1:1"\nrest = "127.0.0.1:1"\ndatabase = "sqlite:///file.db"\n')
    monkeypatch.setenv("JOBYARD_GRPC", "127.0.0.1:2")
    monkeypatch.setenv("JOBYARD_REST", "127.0.0.1:2")
    settings = load(config, grpc="127.0.0.1:3", rest=None)
    assert (settings.grpc, settings.rest, settings.database) == ("127.0.0.1:3", "127.0.0.1:2", "sqlite:///file.db")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("j.toml", 'profiles = ["a"]\n[lease]\nseconds = 3\n[roles]\nauditor = ["jobs.read"]\n'),
        ("j.yaml", "profiles: [a]\nlease: {seconds: 3}\nroles: {auditor: [jobs.read]}\n"),
        ("j.yaml", "profiles: [a]\nlease_seconds: 3\nroles: {auditor: [jobs.read]}\n"),
    ],
)
def test_files_may_have_tables_or_not(file, name, text):
    settings = load(file(text, name))
    assert (settings.lease_seconds, settings.profiles) == (3.0, {"a"})
    assert settings.roles == {"auditor": frozenset({"jobs.read"})}


def test_words_stand_between_commas_in_the_environment(monkeypatch):
    monkeypatch.setenv("JOBYARD_PROFILES", "one, two,")
    monkeypatch.setenv("JOBYARD_ROLES", '{"auditor": ["jobs.read"]}')
    settings = load()
    assert (settings.profiles, settings.roles) == ({"one", "two"}, {"auditor": frozenset({"jobs.read"})})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"grpc": "nowhere"}, r"grpc \(JOBYARD_GRPC\): is no HOST:PORT"),
        ({"grpc": ":1"}, r"grpc \(JOBYARD_GRPC\): is no HOST:PORT"),
        ({"rest": "127.0.0.1:70000"}, r"rest \(JOBYARD_REST\): is no HOST:PORT"),
        ({"lease_seconds": 0}, r"lease_seconds \(JOBYARD_LEASE_SECONDS\): Input should be greater than 0"),
        ({"leese_seconds": 1}, r"leese_seconds \(JOBYARD_LEESE_SECONDS\): is no setting"),
    ],
)
def test_what_is_wrong_is_named(given, problem):
    with pytest.raises(SettingsError, match=problem):
        load(**given)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("j.toml", "a = ", "j.toml"),
        ("j.yaml", "- a", "holds no settings but list"),
        ("j.toml", "[lease]\nminutes = 1\n", r"lease_minutes \(JOBYARD_LEASE_MINUTES\): is no setting"),
    ],
)
def test_a_wrong_file_is_named(file, name, text, problem):
    with pytest.raises(SettingsError, match=problem):
        load(file(text, name))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_every_setting_is_documented():
    (body,) = (
        node.body
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    documented = {
        before.target.id
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and str(after.value.value).endswith(".")
    }
    assert documented == set(Settings.model_fields)


def test_what_looks_like_a_setting_and_is_none_is_found():
    environment = {"JOBYARD_LEASE_SECOND": "1", "JOBYARD_LEASE_SECONDS": "1", "JOBYARD_TOKEN": "t", "PATH": "/bin"}
    assert unknown(environment) == ["JOBYARD_LEASE_SECOND"]
