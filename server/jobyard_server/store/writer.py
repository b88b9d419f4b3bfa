"""Group commit: one thread takes all commands that wait, and commits them together.

Answers leave after the commit, so what was answered is on the disk. While a batch is being committed the next one
gathers; where several write at once, it is given a moment for those who were just answered to come back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog

from jobyard_server.domain.reason import Reason, Refusal, Refused
from jobyard_server.store.acquire import acquire
from jobyard_server.store.company import Company
from jobyard_server.store.delivering import claim, settle_deliveries
from jobyard_server.store.fire import fire
from jobyard_server.store.heartbeat import heartbeat
from jobyard_server.store.logs import append
from jobyard_server.store.owing import make_timetables
from jobyard_server.store.settle import settle
from jobyard_server.store.submit import submit
from jobyard_server.store.tally import Tally
from jobyard_server.store.trouble import TRIES, again, gone, taken, too_long
from jobyard_server.store.unit import Randomness, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.job import Micros
    from jobyard_server.store.clock import Clock
    from jobyard_server.store.database import Database, Desk
    from jobyard_server.store.keeping import Keep
    from jobyard_server.store.query import JobQueries
    from jobyard_server.store.words import Words
    from jobyard_server.usecases.ports import JobEnded

Verb: TypeAlias = Callable[[Unit, Sequence[Any]], Sequence[Any]]
Woken: TypeAlias = Callable[[set[str], bool], None]

MAX_WAITING: Final = 1_024
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
MAX_BATCH: Final = 512
MAX_CLOSURES: Final = 64
"""Of a batch: others wait for them, in this process and in others."""
SWITCH_INTERVAL: Final = 0.0005

_log = structlog.get_logger(__name__)


def run(unit: Unit, closures: Sequence[Callable[[Unit], Any]]) -> list[Any]:
    """The verb that is not set-based: any closure, by itself.

    What it reads and decides by it may be anything, so no two of them go on at once in all processes.
    """
    (closure,) = closures
    return [closure(unit)]


def step(unit: Unit, closures: Sequence[Callable[[Unit], Any]]) -> list[Any]:
    """The same for a closure that locks the rows it decides by."""
    (closure,) = closures
    return [closure(unit)]


# In this order within a batch: what frees leases comes first, what takes them last. What is to be kept of an attempt
# comes before its end.
ORDER: Final[tuple[Verb, ...]] = (append, settle, heartbeat, settle_deliveries, submit, run, step, fire, acquire, claim)


@dataclass(slots=True)
class Command:
    """Something to do, and who waits for it."""

    verb: Verb
    argument: Any
    weight: int
    future: asyncio.Future[Any]


_Answer: TypeAlias = tuple[Command, Any, BaseException | None]


class Writer:
    """The one writer of a process."""

    def __init__(
        self,
        database: Database,
        words: Words,
        woken: Woken,
        clock: Clock,
        *,
        keep: Keep | None = None,
        queries: JobQueries | None = None,
        ended: Mapping[str, JobEnded] | None = None,
        resumed: Mapping[str, JobEnded] | None = None,
    ) -> None:
        self._database = database
        self._words = words
        self._woken = woken
        self._clock = clock
        self._keep = keep
        self._queries = queries
        self._follow = {"ended": ended, "resumed": resumed}
        self._random = Randomness()
        self._queue: SimpleQueue[Command | None] = SimpleQueue()
        self._company = Company(self._queue.qsize, MAX_BATCH)
        self.tally = Tally()
        self._thread = Thread(target=self._serve, name="store-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reachable_since: Micros | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to take commands, answering into the running event loop."""
        # The thread and the event loop hand the interpreter lock to each other several times a
        # batch. At the default 5 ms the one that waits loses a whole batch to every hand-off.
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._loop = asyncio.get_running_loop()
        self._reachable_since = self._clock.steady()
        self._thread.start()

    async def stop(self) -> None:
        """Commit what waits, then end."""
        self._stopping = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        # The last answers were handed to the loop before the thread ended.
        await asyncio.sleep(0)

    @property
    def reachable_for(self) -> Micros:
        """For how long every batch found the database reachable."""
        since = self._reachable_since
        return 0 if since is None else self._clock.steady() - since

    async def do(self, verb: Verb, argument: Any, weight: int = 0) -> Any:
        """Have a command carried out; returns after its commit, or raises."""
        if self._loop is None or self._stopping:
            raise Refused(Refusal(Reason.STORE_UNAVAILABLE, "the store is not running"))
        tally = self.tally
        if tally.waiting >= MAX_WAITING or tally.waiting_bytes + weight > MAX_WAITING_BYTES:
            message = "too many writes are waiting"
            raise Refused(Refusal(Reason.OVERLOADED, message, retry_after=1.0))
        command = Command(verb, argument, weight, self._loop.create_future())
        tally.waiting += 1
        tally.waiting_bytes += weight
        self._queue.put(command)
        self._company.came()
        return await command.future

    def _serve(self) -> None:
        """The thread."""
        desk = self._database.desk()
        going = True
        while going:
            going, batch = self._take()
            if batch:
                self._commit(desk, batch)
                desk.tidy()
        desk.close()

    def _take(self) -> tuple[bool, list[Command]]:
        """Wait for a command, and take all that wait behind it; whether to go on afterwards."""
        batch: list[Command] = []
        closures = 0
        command = self._queue.get()
        self._company.wait()
        try:
            while command is not None:
                batch.append(command)
                closures += command.verb is run
                if len(batch) == MAX_BATCH or closures == MAX_CLOSURES:
                    return True, batch
                command = self._queue.get_nowait()
        except Empty:
            return True, batch
        return False, batch

    def _commit(self, desk: Desk, batch: list[Command]) -> None:
        """Carry out a batch in one transaction, and answer it."""
        answers: list[_Answer] = []
        unit = None
        began = monotonic()
        # Somebody who went away before anything was begun for him is left out.
        wanted = [command for command in batch if not command.future.cancelled()]
        try:
            if wanted:
                unit, answers = self._transact(desk, wanted)
            if self._reachable_since is None:
                self._reachable_since = self._clock.steady()
        except Exception as error:  # noqa: BLE001 - whatever it was, everybody is answered
            _log.exception("batch_failed", commands=len(wanted))
            self._reachable_since = None
            answers = [(command, None, _unavailable(error)) for command in wanted]
        # Once they are answered some are back at once, and would count twice.
        self._company.seen(len(batch), monotonic() - began)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, batch, answers, unit)

    def _transact(self, desk: Desk, wanted: list[Command]) -> tuple[Unit, list[_Answer]]:
        """Carry out commands and commit; all over again when others were in the way.

        Sets hardly ever fail, and what keeps a failure to its command costs statements, so the first try does without.
        """
        bold = not any(command.verb in (run, step) for command in wanted)
        tries = TRIES
        while True:
            done = None
            desk.begin()
            try:
                # Who was in somebody's way once waits for his turn before he locks anything.
                done = self._carried_out(desk, wanted, alone=tries < TRIES, bold=bold)
                desk.commit()
            except (*again(), *too_long()):
                desk.rollback()
                if tries == 1:
                    raise
                tries -= 1
            except BaseException as error:
                desk.rollback()
                # Of a commit that failed nobody knows what became, and a lost connection is no command's fault.
                if done is not None or not bold or desk.lost or not isinstance(error, Exception):
                    raise
            else:
                return done
            bold = False

    def _carried_out(self, desk: Desk, wanted: list[Command], *, alone: bool, bold: bool) -> tuple[Unit, list[_Answer]]:
        """Everything before the commit."""
        unit = self._unit(desk)
        answers = _carry_out(unit, wanted, alone=alone, bold=bold)
        make_timetables(unit)
        unit.write_events()
        return unit, answers

    def _unit(self, desk: Desk) -> Unit:
        now = self._clock.now(desk.sets)
        keep, queries, random = self._keep, self._queries, self._random
        return Unit(desk.sets, now, self._words, keep=keep, queries=queries, random=random, **self._follow)

    def _deliver(self, batch: list[Command], answers: list[_Answer], unit: Unit | None) -> None:
        """In the event loop: give everybody his answer."""
        self.tally.waiting -= len(batch)
        self.tally.waiting_bytes -= sum(command.weight for command in batch)
        self.tally.took(len(batch), failed=unit is None and bool(answers))
        for command, value, error in answers:
            if command.future.done():
                continue
            if error is not None:
                command.future.set_exception(error)
            elif isinstance(value, Refusal):
                command.future.set_exception(Refused(value))
            else:
                command.future.set_result(value)
        if unit is not None and (unit.changed or unit.woken):
            self._woken(unit.woken, unit.changed)


def _carry_out(unit: Unit, batch: list[Command], *, alone: bool, bold: bool) -> list[_Answer]:
    answers: list[_Answer] = []
    if alone or any(command.verb is run for command in batch):
        # First of all locks, so that nobody waits for it who is waited for.
        unit.sets.hold_closures()
    for verb in ORDER:
        commands = [command for command in batch if command.verb is verb]
        if verb in (run, step):
            for command in commands:
                answers += _apply(unit, [command])
        elif commands:
            answers += _called(unit, commands) if bold else _apply(unit, commands)
    return answers


def _called(unit: Unit, commands: list[Command]) -> list[_Answer]:
    """Carry out commands of one verb."""
    values = commands[0].verb(unit, [command.argument for command in commands])
    return [(command, value, None) for command, value in zip(commands, values, strict=True)]


def _apply(unit: Unit, commands: list[Command], tries: int = TRIES) -> list[_Answer]:
    """Carry out commands of one verb; one that fails is found by halves and undone alone."""
    sets = unit.sets
    mark = unit.mark()
    sets.run("SAVEPOINT verb")
    try:
        answers = _called(unit, commands)
        sets.send()
    except again():
        raise
    except Exception as error:  # noqa: BLE001 - undone here, told to its caller
        sets.drop()
        # A full disk rolls back the whole transaction, and then this raises, too.
        sets.run("ROLLBACK TO verb")
        sets.run("RELEASE verb")
        unit.undo(mark)
        if isinstance(error, taken()) and tries > 1:
            return _apply(unit, commands, tries - 1)
        if len(commands) > 1 and not isinstance(error, too_long()):
            middle = len(commands) // 2
            return _apply(unit, commands[:middle]) + _apply(unit, commands[middle:])
        return [(command, None, _told(error)) for command in commands]
    sets.run("RELEASE verb")
    return answers


def _told(error: Exception) -> Exception:
    """What a command that failed is told."""
    if isinstance(error, (*gone(), *taken())):
        _log.error("command_failed", exc_info=error)
        return _unavailable(error)
    return error


def _unavailable(cause: Exception) -> Refused:
    refused = Refused(Refusal(Reason.STORE_UNAVAILABLE, "the database cannot be written to", retry_after=1.0))
    refused.__cause__ = cause
    return refused
