"""Prints what commands found: tables for people, JSON exactly as REST prints it, or bare names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobyard.jobs.v1 import face_pb2, job_pb2, state_pb2, subjob_pb2
from jobyard.rest.v1 import annotations_pb2
from jobyard_server.cli.form import Form
from jobyard_server.cli.times import ago, moment, span
from jobyard_server.domain.state import State
from jobyard_server.state_marks import MARKS, RETRYING, SCHEDULED, Mark
from jobyard_server.transcoding.codec import Dialect, Encoder, compile_encoder

STYLES: Final = {
    "grey": "bright_black",
    "blue": "blue",
    "green": "green",
    "red": "red",
    "amber": "yellow",
    "orange": "dark_orange",
    "violet": "medium_purple",
}
WIDE: Final = 4096
"""Columns of an output that is no terminal: nothing is cut or wrapped for a program that reads it."""

GAP: Final = 2
"""Columns between two columns of a table."""


@cache
def dialect() -> Dialect:
    """How the REST face of the jobs API spells JSON."""
    (face,) = face_pb2.DESCRIPTOR.GetOptions().Extensions[annotations_pb2.faces]
    return Dialect.of_face(face)


@cache
def _encoder(message: Descriptor) -> Encoder:
    return compile_encoder(message, dialect())


def print_json(message: Message) -> None:
    """Print a message as REST prints it."""
    print(_encoder(message.DESCRIPTOR)(message).decode(), flush=True)


@cache
def screen() -> Console:
    """Where tables go: coloured on a terminal, unless NO_COLOR is set."""
    on_terminal = sys.stdout.isatty()
    colour = on_terminal and not os.environ.get("NO_COLOR")
    return Console(
        width=None if on_terminal else WIDE, no_color=not colour, highlight=False, emoji=False, markup=False
    )  # fmt: skip


def clean(words: str) -> str:
    """Words of somebody else, without what would move the cursor or recolour the screen."""
    return "".join(character if character.isprintable() else " " for character in words)


def show(*parts: str | Text) -> None:
    """Print a line for people on stdout."""
    screen().print(Text.assemble(*(clean(part) if isinstance(part, str) else part for part in parts)), soft_wrap=True)


def say(words: str) -> None:
    """Print words for people on stderr, apart from what was asked for."""
    print(words, file=sys.stderr, flush=True)


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table without lines, as wide as it needs to be."""
    console = screen()
    cells = [[Text(clean(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    left = console.width
    for place, title in enumerate(titles[:-1]):
        left -= GAP + max([len(title), *(row[place].cell_len for row in cells)])
        table.add_column(title, overflow="ellipsis", no_wrap=True)
    # It has what people and programs wrote, of any length: it does not push the others away.
    table.add_column(titles[-1], overflow="ellipsis", no_wrap=True, max_width=max(len(titles[-1]), left))
    for row in cells:
        table.add_row(*row)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


# --- states ------------------------------------------------------------------------------------------------------


def marked(state: int, mark: Mark | None = None) -> Text:
    """A state as people see it."""
    word = state_pb2.State.Name(state_pb2.State.ValueType(state)).removeprefix("STATE_")
    mark = mark or MARKS[State(word)]
    return Text(f"{mark.glyph} {word}", style=STYLES[mark.colour])


def job_state(job: job_pb2.Job) -> Text:
    """The state of a job; a schedule that waits for its next time does not look as if it ran."""
    waits = job.mode == state_pb2.MODE_SCHEDULED and job.state == state_pb2.STATE_RUNNING and not job.subjobs.running
    return marked(job.state, SCHEDULED if waits else None)


def subjob_state(subjob: subjob_pb2.Subjob) -> Text:
    """The state of a piece; one that waits for its next attempt says so by its mark."""
    retrying = subjob.state == state_pb2.STATE_PENDING and subjob.HasField("next_attempt_time")
    return marked(subjob.state, RETRYING if retrying else None)


# --- jobs --------------------------------------------------------------------------------------------------------


def print_jobs(jobs: Sequence[job_pb2.Job]) -> None:
    """Print jobs as a table."""
    now = datetime.now(UTC)
    titles = ("JOB", "STATE", "API", "DEFINITION", "QUEUE", "SUBMITTED", "TOOK", "ABOUT")
    print_rows(titles, [_row(job, now) for job in jobs])


def _row(job: job_pb2.Job, now: datetime) -> tuple[str | Text, ...]:
    about = " ".join(part for part in (job.display_name, job.reason, job.message) if part)
    return (
        str(job.number), job_state(job), job.api, job.definition or "-", job.queue,
        ago(job.create_time, now), took(job, now), about,
    )  # fmt: skip


def took(job: job_pb2.Job | subjob_pb2.Subjob | subjob_pb2.Attempt, now: datetime) -> str:
    """How long something has run, or ran."""
    if not job.HasField("start_time"):
        return "-"
    end = moment(job.end_time) if job.HasField("end_time") else now
    return span((end - moment(job.start_time)).total_seconds())


def print_job(job: job_pb2.Job, form: Form) -> None:
    """Print one job."""
    if form is Form.TABLE:
        print_jobs([job])
    elif form is Form.NAME:
        print(job.number)
    else:
        print_json(job)
