"""The jobyard command: what its subcommands are called and what they take.

What they do is loaded when they are run, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from jobyard_server.cli import control, databases, token
from jobyard_server.cli.connecting import with_session
from jobyard_server.cli.errors import CommandError
from jobyard_server.cli.form import Form
from jobyard_server.cli.options import DEFAULT_SERVER, RETRY_SECONDS, Output, Payload, Pieces, RetryFor, Server
from jobyard_server.cli.waiting import Waiting

HELP: Final = """One job service that speaks six APIs.

Commands that talk to a server find it by --server or JOBYARD_SERVER, and show the token in JOBYARD_TOKEN."""

app = typer.Typer(
    name="jobyard",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(control.app)
app.add_typer(token.app)
app.add_typer(databases.app)

Jobs = Annotated[list[str], typer.Argument(metavar="JOB...", help="Number or uid of a job.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        from importlib.metadata import version

        print(f"jobyard {version('jobyard')}")
        raise typer.Exit


@app.callback(help=HELP)
def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback has seen to it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What stands before the name of a subcommand."""
    if context.invoked_subcommand not in {"serve", "worker"}:
        # What gRPC would log beside, our errors say. It reads this when it is loaded.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def main() -> None:
    """Run the command; every error ends as words on stderr and an exit code."""
    try:
        app()
    except CommandError as error:
        error.show()
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


# --- servers and workers -----------------------------------------------------------------------------------------


@app.command()
def serve(
    *,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Where jobs are kept.")] = None,
    grpc: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where gRPC is served.")] = None,
    rest: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where the REST APIs are served.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings in TOML or YAML.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many processes share the addresses, to use every core.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Written with the addresses when the server is ready.")
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Try things out: prints how to use it, and runs a worker of its own.")
    ] = False,
    execute: Annotated[
        list[str] | None,
        typer.Option("--exec", metavar="QUEUE=CMD", help="With --dev: what its worker runs for a queue."),
    ] = None,
) -> None:
    """Run a server. Every setting may also stand in the environment, as JOBYARD_<NAME>, or in the file."""
    from jobyard_server.cli.serving import serve as run

    raise typer.Exit(
        run(
            config,
            execute or [],
            database=database,
            grpc=grpc,
            rest=rest,
            processes=processes,
            ready_file=ready_file,
            dev=dev or None,
        )
    )


@app.command()
def worker(
    *,
    queue: Annotated[list[str], typer.Option("--queue", "-q", metavar="QUEUE", help="A queue to serve; repeatable.")],
    execute: Annotated[str, typer.Option("--exec", metavar="CMD", help="The program to run, without a shell.")],
    server: Server = DEFAULT_SERVER,
    concurrency: Annotated[int, typer.Option(min=1, max=500, help="Programs that run at once.")] = 1,
    cpu_seconds: Annotated[float | None, typer.Option(min=1, help="Processor time of a program.")] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory of a program: 512M, 2G.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="TIME", help="Time for a program: 90s, 15m, 2h.")] = None,
    grace: Annotated[str, typer.Option(metavar="TIME", help="Time between SIGTERM and SIGKILL.")] = "10s",
    drain: Annotated[str, typer.Option(metavar="TIME", help="Time for what runs when the worker is to end.")] = "20s",
    output_limit: Annotated[str, typer.Option(metavar="SIZE", help="Output of a program that is kept.")] = "64M",
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME[=VALUE]", help="A variable for programs; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the worker is called; by default host and process.")] = None,
) -> None:
    """Run a program for every job of some queues.

    The payload comes on standard input, in JOBYARD_PAYLOAD_FILE and, if small, in JOBYARD_PAYLOAD. What the program
    prints is the log of the job; its exit code is the outcome. The result is what it writes to JOBYARD_RESULT_FILE,
    else its last line if that is a JSON object or array. SIGTERM lets running programs end, then gives them back.
    """
    from jobyard_server.cli import working

    plan = working.Plan(
        programs=dict.fromkeys(queue, working.argv_of(execute)),
        concurrency=concurrency,
        limits=working.limits_of(cpu_seconds, memory, timeout, grace, output_limit),
        environment=working.passed(env or []),
        drain_seconds=working.seconds_of(drain),
        name=name or working.default_name(),
    )
    raise typer.Exit(working.run(server, plan))


# --- jobs --------------------------------------------------------------------------------------------------------


@app.command(cls=Waiting)
def submit(
    *,
    definition: Annotated[str, typer.Argument(help="The definition to run; none for a job that carries all.")] = "",
    server: Server = DEFAULT_SERVER,
    payload: Payload = None,
    subjob: Pieces = None,
    queue: Annotated[str, typer.Option("--queue", "-q", help="The queue to wait in.")] = "",
    priority: Annotated[int, typer.Option(min=0, max=9, help="From 0 (low) to 9 (high).")] = 0,
    name: Annotated[str, typer.Option("--name", help="Words for people.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Repeatable.")] = None,
    key: Annotated[str, typer.Option("--key", help="Idempotency key; a new one each time unless given.")] = "",
    attempts: Annotated[int, typer.Option("--attempts", min=0, max=1000, help="Attempts in all.")] = 0,
    keep: Annotated[str | None, typer.Option("--keep", metavar="TIME", help="Time to keep it after its end.")] = None,
    start_limit: Annotated[str | None, typer.Option(metavar="TIME", help="Longest wait for a worker: 90s, 2h.")] = None,
    attempt_limit: Annotated[str | None, typer.Option(metavar="TIME", help="Longest time of one attempt.")] = None,
    total_limit: Annotated[str | None, typer.Option(metavar="TIME", help="Longest time in all.")] = None,
    cron: Annotated[str, typer.Option(help="Run it again and again, such as '30 6 * * mon-fri'.")] = "",
    time_zone: Annotated[str, typer.Option(help="Whose clocks --cron means, such as Europe/Vienna.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit codes as of `wait`.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Submit a job."""
    from jobyard_server.cli import submitting

    request = submitting.request_of(
        definition=definition,
        payload=payload,
        pieces=subjob or [],
        queue=queue,
        priority=priority,
        display_name=name,
        labels=label or [],
        idempotency_key=key,
        attempts=attempts,
        keep=keep,
        limits={"start": start_limit, "attempt": attempt_limit, "total": total_limit},
        cron=cron,
        time_zone=time_zone,
    )
    raise typer.Exit(with_session(server, lambda session: submitting.submit(session, request, output, wait=wait)))


@app.command("list")
def list_(
    *,
    server: Server = DEFAULT_SERVER,
    filter_: Annotated[
        str, typer.Option("--filter", "-f", help="""Condition, such as 'state = FAILED AND queue = "q"'.""")
    ] = "",
    order_by: Annotated[str, typer.Option(help="Such as 'end_time desc'; the newest job first unless given.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most jobs to show.")] = 100,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    page_token: Annotated[str, typer.Option(help="Go on where a former page ended.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List jobs."""
    from jobyard.jobs.v1 import job_access_pb2
    from jobyard_server.cli import jobs

    request = job_access_pb2.ListJobsRequest(
        filter=filter_, order_by=order_by, page_size=1000 if everything else limit, page_token=page_token
    )
    with_session(server, lambda session: jobs.list_jobs(session, request, output, everything=everything))


@app.command()
def get(*, job: Jobs, server: Server = DEFAULT_SERVER, output: Output = Form.TABLE) -> None:
    """Show jobs. The table has their pieces, too; in JSON, `jobyard call ListSubjobs '{"job": "1"}'` tells of them."""
    from jobyard_server.cli import jobs

    with_session(server, lambda session: jobs.get_jobs(session, job, output))


@app.command()
def watch(
    *,
    job: Annotated[str, typer.Argument(help="Number or uid of a job; all jobs unless given.")] = "",
    server: Server = DEFAULT_SERVER,
    filter_: Annotated[str, typer.Option("--filter", "-f", help="Condition on the jobs.")] = "",
    token: Annotated[str, typer.Option(help="Go on where a former watch or list ended.")] = "",
    retry_for: RetryFor = RETRY_SECONDS,
    output: Output = Form.TABLE,
) -> None:
    """Print what happens: to one job until its end, or to all from now on."""
    from jobyard.jobs.v1 import job_watch_pb2
    from jobyard_server.cli import following

    request = job_watch_pb2.WatchJobsRequest(
        job=job,
        filter=filter_,
        resume_token=token,
        until_terminal=bool(job),
        include_job=output in {Form.JSON, Form.JSONL},
    )
    with_session(server, lambda session: following.watch(session, request, output, retry_for))


@app.command(cls=Waiting)
def wait(
    *,
    job: Jobs,
    server: Server = DEFAULT_SERVER,
    timeout: Annotated[str | None, typer.Option(metavar="TIME", help="Longest time to wait: 90s, 15m, 2h.")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End as soon as one of them ends badly.")] = False,
    retry_for: RetryFor = RETRY_SECONDS,
    output: Output = Form.TABLE,
) -> None:
    """Wait until jobs have ended, whichever way.

    Exit codes: 0 all succeeded, 1 one failed, 2 one was cancelled, 3 not ended in time, 4 the server cannot be
    reached, 5 the server refuses, for example because there is no such job, 64 wrong usage.
    """
    from jobyard_server.cli import following
    from jobyard_server.cli.submitting import seconds_of

    seconds = seconds_of(timeout) if timeout else None
    raise typer.Exit(
        with_session(
            server,
            lambda session: following.wait(
                session, job, output, within=seconds, retry_for=retry_for, fail_fast=fail_fast
            ),
        )
    )


@app.command()
def logs(
    *,
    job: Annotated[str, typer.Argument(metavar="JOB[/SUBJOB]", help="Number or uid, and the place of a piece.")],
    server: Server = DEFAULT_SERVER,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the end.")] = False,
    attempt: Annotated[int, typer.Option(min=0, help="Number of the attempt; the newest one unless given.")] = 0,
    retry_for: RetryFor = RETRY_SECONDS,
) -> None:
    """Print what the program of a job has printed."""
    from jobyard_server.cli.logs import logs as print_logs

    with_session(
        server,
        lambda session: print_logs(session, job, attempt=attempt, follow=follow, retry_for=retry_for),
    )


# --- the catalog -------------------------------------------------------------------------------------------------


@app.command()
def apply(
    *,
    file: Annotated[list[str], typer.Option("--file", "-f", metavar="FILE", help="YAML; - for standard input.")],
    server: Server = DEFAULT_SERVER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and send nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Load definitions, executors, queues and records.

    Each YAML document has one key, definition, executor, queue or record, over the fields of that message. All are
    held against the rules of their messages before the first one is sent; one that is there already is not sent.
    """
    from jobyard_server.cli import applying

    documents = applying.read(file)
    with_session(server, lambda session: applying.apply(session, documents, output, dry_run=dry_run))


# --- the contract ------------------------------------------------------------------------------------------------


@app.command()
def call(
    *,
    method: Annotated[str, typer.Argument(help="Such as GetJob, or jobyard.jobs.v1.JobService/GetJob.")],
    request: Annotated[str, typer.Argument(metavar="[JSON]", help="The request: JSON, @FILE, or -.")] = "",
    server: Server = DEFAULT_SERVER,
) -> None:
    """Call any method of the contract; answers come as JSON, one on each line."""
    from jobyard_server.cli import calling
    from jobyard_server.cli.submitting import json_of

    found = calling.method_of(method)
    message = calling.request_of(found, json_of(request))
    with_session(server, lambda session: calling.call(session, found, message))


@app.command()
def explain(
    *,
    name: Annotated[str, typer.Argument(help="A service, method, message, field or enum: Job, Job.state.")] = "",
) -> None:
    """Say what something of the contract is."""
    from jobyard_server.cli.explaining import explain as print_explanation

    print_explanation(name)
