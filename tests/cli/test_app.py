"""The command itself: quick to start, its help complete, its marks one for each state."""

import resource
import subprocess
import sys
from importlib.metadata import version

import pytest

from jobyard_server.cli import times
from jobyard_server.cli.printing import STYLES, marked
from jobyard_server.cli.submitting import seconds_of
from jobyard_server.cli.working import bytes_of
from jobyard_server.domain.state import State
from jobyard_server.state_marks import COLOURS, MARKS, RETRYING, SCHEDULED
from support.command import JOBYARD, environment

COMMANDS = ["serve", "worker", "submit", "list", "get", "watch", "wait", "cancel", "logs", "apply"]


def test_help_names_every_command_and_costs_little():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([JOBYARD, "--help"], capture_output=True, text=True, env=environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert all(f"  {command} " in done.stdout for command in COMMANDS)
    # Processor time: the clock on the wall tells more about the machine than about the command.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_the_version_is_told():
    done = subprocess.run([JOBYARD, "--version"], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == f"jobyard {version('jobyard')}\n"


def test_help_loads_neither_grpc_nor_the_server():
    code = (
        "import sys; from jobyard_server.cli import app; "
        "print([name for name in ('grpc', 'rich.table', 'sqlalchemy', 'jobyard.jobs.v1') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LARGE = [
    "aiohttp",
    "alembic",
    "cryptography",
    "joserfc",
    "jsonschema_rs",
    "nats",
    "obstore",
    "psycopg",
    "pygments",
    "rich",
]
"""What most servers never need, 3 to 10 MiB each."""


def test_a_server_loads_no_library_that_it_does_not_use(tmp_path):
    code = (
        "import asyncio, sys; from jobyard_server.cli import app, serving; serving.loading.begin(); "
        "from jobyard_server import main, running; from jobyard_server.settings import load\n"
        f"async def build(): main.build(load(database='sqlite:///{tmp_path}/jobyard.db'))\n"
        f"asyncio.run(build()); print([name for name in {LARGE} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nor_does_one_of_several_processes():
    code = (
        "import contextlib, multiprocessing, sys; from jobyard_server.process import serve; "
        "from jobyard_server.settings import load; ours, theirs = multiprocessing.Pipe()\n"
        "with contextlib.suppress(SystemExit): serve(load(database='mystery://'), theirs)\n"
        f"print(ours.recv(), [name for name in {LARGE} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Refused(problem='database: mystery:")
    assert done.stdout.endswith(" []\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is_for(command):
    done = subprocess.run([JOBYARD, command, "--help"], capture_output=True, text=True, env=environment(), check=True)
    _, _, options = done.stdout.partition("Options:")
    blank = [line for line in options.splitlines() if line.startswith("  --") and len(line.split("  ")) < 3]
    # An option whose words stand on the next line is long; that line begins further right.
    assert all(f"{line}\n      " in options for line in blank), blank


def test_every_state_has_a_mark_and_a_colour():
    assert set(MARKS) == set(State)
    marks = [*MARKS.values(), RETRYING, SCHEDULED]
    assert {mark.colour for mark in marks} <= set(COLOURS) == set(STYLES)
    for number, state in enumerate(State, start=1):
        assert marked(number).plain == f"{MARKS[state].glyph} {state}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0s"), (9.94, "9.9s"), (42.9, "42s"), (187, "3m 07s"), (18120, "5h 02m"), (792000, "9d 04h"), (-3, "-3.0s")],
)
def test_spans_have_two_units_at_most(seconds, words):
    assert times.span(seconds) == words


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1.5d", 129600)])
def test_times_are_read_with_a_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("4K", 4096), ("64m", 64 << 20), ("2GiB", 2 << 30)])
def test_sizes_are_read_with_a_unit(text, size):
    assert bytes_of(text) == size
