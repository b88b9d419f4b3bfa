"""The commands that make, show and revoke tokens."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from jobyard_server.callers.token_file import digest, read
from jobyard_server.cli.errors import CommandError
from jobyard_server.cli.token import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("JOBYARD_AUTH_TOKENS", str(tmp_path / "tokens.yaml"))

    def invoke(*arguments):
        result = CliRunner().invoke(app, arguments)
        if isinstance(result.exception, CommandError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    invoke.file = tmp_path / "tokens.yaml"
    return invoke


def test_the_token_alone_is_printed_for_programs(run):
    made = run("create", "ci", "--role", "worker", "-q", "builds", "--tenant", "north")
    assert made.stdout.startswith("jyd_")
    assert made.stdout.count("\n") == 1
    assert "token ci added" in made.stderr
    (entry,) = read(run.file)
    assert entry.sha256 == digest(made.stdout.strip())
    assert (entry.user, entry.tenant, entry.roles, entry.queues) == ("ci", "north", ("worker",), ("builds",))


def test_a_role_that_nobody_knows_is_warned_of(run, monkeypatch):
    monkeypatch.setenv("JOBYARD_ROLES", '{"auditor": ["jobs.read"]}')
    made = run("create", "ci", *("--role", "Nope", "--role", "auditor", "--role", "admin", "--role", "Administrators"))
    assert "there is no role Nope here" in made.stderr
    assert made.stderr.count("warning") == 1
    assert made.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "moment"),
    [("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)), ("2027-01-31T18:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC))],
)
def test_a_token_may_end_on_a_day(run, said, moment):
    run("create", "ci", "--expires", said)
    assert read(run.file)[0].expires == moment


def test_a_token_may_end_after_some_time(run):
    run("create", "ci", "--expires", "12h")
    left = read(run.file)[0].expires - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)


@pytest.mark.parametrize("said", ["soon", "12", "h", "-1d"])
def test_a_time_that_is_none_is_named(run, said):
    with pytest.raises(CommandError, match=f"--expires '{said}' is no time"):
        run("create", "ci", "--expires", said)
    assert not run.file.exists()


def test_tokens_are_listed_without_their_digests(run):
    run("create", "b", "--user", "bob", "--role", "admin")
    run("create", "a", "--expires", "2020-01-01")
    table = run("list").stdout
    assert [line.split()[0] for line in table.splitlines()] == ["NAME", "b", "a"]
    assert "(expired)" in table
    assert run("list", "-o", "name").stdout.split() == ["b", "a"]
    rows = json.loads(run("list", "-o", "json").stdout)
    assert [json.loads(line) for line in run("list", "-o", "jsonl").stdout.splitlines()] == rows
    assert [(row["name"], row["user"], row["roles"]) for row in rows] == [("b", "bob", ["admin"]), ("a", "a", [])]
    assert "sha256" not in rows[0]


def test_a_file_that_is_not_there_has_no_list(run):
    with pytest.raises(CommandError, match="there is no such file"):
        run("list")


def test_a_revoked_token_is_gone(run):
    run("create", "a")
    run("revoke", "a")
    assert read(run.file) == ()
    with pytest.raises(CommandError, match="there is no token named a"):
        run("revoke", "a")


def test_a_name_is_given_once(run):
    run("create", "a")
    with pytest.raises(CommandError, match="there is a token named a already"):
        run("create", "a")
