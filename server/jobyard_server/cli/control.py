"""The subcommands that change jobs: cancel, suspend, resume, retry, delete, each for some or for all that match."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobyard_server.cli.connecting import with_session
from jobyard_server.cli.errors import UsageError
from jobyard_server.cli.form import Form
from jobyard_server.cli.options import DEFAULT_SERVER, Output, Server

if TYPE_CHECKING:
    from jobyard_server.cli.session import Session

app = typer.Typer()

Jobs = Annotated[list[str], typer.Argument(metavar="JOB...", help="Number or uid of a job.")]
SomeJobs = Annotated[list[str] | None, typer.Argument(metavar="[JOB...]", help="Number or uid of a job.")]
Filter = Annotated[str, typer.Option("--filter", "-f", help="All jobs that match instead.")]
Message = Annotated[str, typer.Option("--message", "-m", help="Why; kept with the job.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show them only.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="With --filter: do not ask.")]


def _either(job: list[str] | None, condition: str) -> list[str]:
    if bool(job) == bool(condition):
        raise UsageError("say either which jobs, or --filter")
    return job or []


def _named(
    server: str,
    names: list[str],
    output: Form,
    change: Callable[[Session], Coroutine[Any, Any, None]],
    *,
    dry_run: bool,
) -> None:
    """Change jobs that are named, or only show them."""
    from jobyard_server.cli import changing

    with_session(server, (lambda session: changing.look_at_jobs(session, names, output)) if dry_run else change)


@app.command()
def cancel(
    *,
    job: SomeJobs = None,
    server: Server = DEFAULT_SERVER,
    filter_: Filter = "",
    message: Message = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:
    """Ask jobs to end."""
    from jobyard_server.cli import changing

    names = _either(job, filter_)
    if names:
        cancelling = partial(changing.cancel_jobs, names=names, message=message, form=output)
        _named(server, names, output, cancelling, dry_run=dry_run)
        return
    many = changing.Many(filter_, dry_run=dry_run, sure=yes)
    with_session(server, lambda session: changing.cancel_matching(session, many, message, output))


@app.command()
def suspend(*, job: Jobs, server: Server = DEFAULT_SERVER, message: Message = "", output: Output = Form.TABLE) -> None:
    """Hold jobs back: what waits is not handed out, what runs is given back."""
    from jobyard_server.cli import changing

    with_session(server, lambda session: changing.suspend_jobs(session, job, message, output))


@app.command()
def resume(*, job: Jobs, server: Server = DEFAULT_SERVER, message: Message = "", output: Output = Form.TABLE) -> None:
    """Let jobs go on that were suspended, or that failed and may go on."""
    from jobyard_server.cli import changing

    with_session(server, lambda session: changing.resume_jobs(session, job, message, output))


@app.command()
def retry(
    *,
    job: Annotated[
        list[str] | None,
        typer.Argument(metavar="[JOB[/SUBJOB]...]", help="Number or uid of a job, and the place of a piece."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    filter_: Filter = "",
    message: Message = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:
    """Run once more what did not succeed of jobs; with a place, only that piece."""
    from jobyard_server.cli import changing

    names = _either(job, filter_)
    if names:
        retrying = partial(changing.retry_jobs, names=names, message=message, form=output)
        _named(server, changing.jobs_of(names), output, retrying, dry_run=dry_run)
        return
    many = changing.Many(filter_, dry_run=dry_run, sure=yes)
    with_session(server, lambda session: changing.retry_matching(session, many, message, output))


@app.command()
def delete(
    *,
    job: SomeJobs = None,
    server: Server = DEFAULT_SERVER,
    filter_: Filter = "",
    force: Annotated[bool, typer.Option("--force", help="Also those that have not ended.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = Form.TABLE,
) -> None:
    """Remove jobs that have ended, with their logs."""
    from jobyard_server.cli import changing

    names = _either(job, filter_)
    if names:
        deleting = partial(changing.delete_jobs, names=names, force=force)
        _named(server, names, output, deleting, dry_run=dry_run)
        return
    many = changing.Many(filter_, dry_run=dry_run, sure=yes)
    with_session(server, lambda session: changing.delete_matching(session, many, output, force=force))
