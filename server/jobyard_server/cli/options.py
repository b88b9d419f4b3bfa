"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from jobyard_server.cli.form import Form

DEFAULT_SERVER: Final = "127.0.0.1:50051"
RETRY_SECONDS: Final = 60.0

Server = Annotated[
    str,
    typer.Option(
        "--server",
        "-s",
        envvar="JOBYARD_SERVER",
        metavar="HOST:PORT",
        help="The gRPC address of the server; https://HOST:PORT for TLS.",
    ),
]
Payload = Annotated[
    str | None, typer.Option("--payload", "-p", metavar="JSON", help="What is to be done: JSON, @FILE, or -.")
]
Pieces = Annotated[list[str] | None, typer.Option("--subjob", metavar="JSON", help="One piece of the job; repeatable.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the output.")]
RetryFor = Annotated[
    float,
    typer.Option("--retry-for", metavar="SECONDS", help="How long to look for a server that has gone away."),
]
