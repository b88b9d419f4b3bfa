"""One attempt: a program run for one lease, from its start to the report of its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobyard.jobs.v1 import worker_lease_pb2, worker_settle_pb2
from jobyard_server.client.failure import of_status
from jobyard_server.worker import environment, payload
from jobyard_server.worker.calls import Calls, FailedError
from jobyard_server.worker.contents import Contents
from jobyard_server.worker.ending import GIVES_BACK, RESULT_BYTES, Report, Stop, report
from jobyard_server.worker.output import Output
from jobyard_server.worker.plan import Plan
from jobyard_server.worker.programs import Ended, KeeperLostError, NotStartedError, Program, Programs

if TYPE_CHECKING:
    # Exists for type checkers alone.
    from jobyard.jobs.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

DRAIN_PIPE_SECONDS: Final = 5.0
"""A process that has left the session of its program may hold the pipe open for ever."""
PROGRESS_CHARACTERS: Final = 1000
NOT_KEPT: Final = frozenset({"PAYLOAD_TOO_LARGE", "INVALID_FIELD"})
"""Why the server does not keep a large result, now or ever."""
LEAVING_SECONDS: Final = 10.0
"""A worker that is to end does not wait longer for the server to take a report."""

_log = logging.getLogger(__name__)


class Attempt:
    """A lease and the program run for it."""

    def __init__(
        self,
        lease: worker_lease_pb2.Lease,
        plan: Plan,
        programs: Programs,
        stub: WorkerServiceAsyncStub,
        calls: Calls,
        contents: Contents,
    ) -> None:
        self.lease = lease
        self.name = f"{lease.job.number}/{lease.subjob.ordinal}#{lease.attempt}"
        self._plan = plan
        self._programs = programs
        self._stub = stub
        self._calls = calls
        self._contents = contents
        self._output = Output(plan.limits.output_bytes)
        self._program: Program | None = None
        self._progress = Path(os.devnull)
        self._stop: Stop | None = None
        self._stopped_by: Stop | None = None
        """What counts for the report: a program that had ended before somebody wanted to stop it ended by itself."""
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def session_leader(self) -> int | None:
        """Process id of the program while it runs."""
        program = self._program
        return program.pid if program is not None and not program.ended.done() else None

    @property
    def progress(self) -> str:
        """What the program says about its progress: the last line of its progress file."""
        with contextlib.suppress(OSError), self._progress.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * PROGRESS_CHARACTERS))
            lines = file.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")[:PROGRESS_CHARACTERS]
        return ""

    def stop(self, why: Stop) -> None:
        """Stop the program; the first reason counts, except that a lost lease outdoes any other."""
        if why is Stop.LOST:
            self._stop = why
            self._signal(signal.SIGKILL)
        elif self._stop is None:
            self._stop = why
            self._end_program(why)

    def _end_program(self, why: Stop) -> None:
        if self._program is None or self._program.ended.done():
            return
        _log.info("%s: stopping, %s", self.name, why)
        if why is Stop.MEMORY:
            self._signal(signal.SIGKILL)
            return
        self._signal(signal.SIGTERM)
        self._later(self._plan.limits.grace_seconds, lambda: self._signal(signal.SIGKILL))

    def _signal(self, number: signal.Signals) -> None:
        if self._program is not None:
            self._program.signal(number)

    async def run(self) -> None:
        """Run the program and report how it ended."""
        with _folder() as folder:
            try:
                ended = await self._run_program(folder)
            except NotStartedError as error:
                _log.error("%s: not started: %s", self.name, error)
                await self._fail(Report(succeeded=False, reason="NOT_STARTED", message=str(error)))
                return
            except KeeperLostError:
                await self._release()
                return
            except FailedError as error:
                # The server would not give the payload, or was away for too long; whoever gets the work next may fare
                # better.
                _log.error("%s: not started: %s", self.name, error)
                await self._release()
                return
            finally:
                for timer in self._timers:
                    timer.cancel()
            await self._settle(ended, folder)

    async def _run_program(self, folder: Path) -> Ended:
        self._progress = folder / "progress.txt"
        if self.lease.subjob.payload_bytes:
            await self._contents.fetch(self.lease, folder, self._patience)
        with payload.write(self.lease, folder).open("rb") as stdin:
            reading, writing = os.pipe()
            copy = asyncio.create_task(self._output.read(reading))
            try:
                self._program = await self._programs.start(
                    self._plan.programs[self.lease.subjob.queue],
                    {**self._plan.environment, **environment.of_lease(self.lease, folder)},
                    self._kernel_limits(),
                    stdin.fileno(),
                    writing,
                )
            except (NotStartedError, KeeperLostError):
                copy.cancel()
                raise
            finally:
                os.close(writing)
        _log.info("%s: started, pid %d", self.name, self._program.pid)
        return await self._follow(self._program, copy)

    async def _follow(self, program: Program, copy: asyncio.Task[None]) -> Ended:
        """Wait for the end of a program, sending on what it writes."""
        sending = asyncio.create_task(
            self._output.send(self._calls, self._stub.AppendLog, self.lease.token, self._patience)
        )
        try:
            if self._stop is not None:
                self._end_program(self._stop)
            if self._plan.limits.timeout_seconds is not None:
                self._later(self._plan.limits.timeout_seconds, lambda: self.stop(Stop.TIMED_OUT))
            if self.lease.HasField("time_limit"):
                self._later(self.lease.time_limit.ToTimedelta().total_seconds(), lambda: self.stop(Stop.LATE))
            ended = await program.ended
            _log.info("%s: ended, %s", self.name, ended.signal_name or f"exit code {ended.exit_code}")
            self._stopped_by = self._stop
            if self._stop is Stop.LOST:
                await self._output.abandon()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(copy, DRAIN_PIPE_SECONDS)
            await self._output.end()
            await sending
        finally:
            copy.cancel()
            sending.cancel()
        return ended

    def _kernel_limits(self) -> dict[str, float]:
        limits = self._plan.limits
        wanted = {"cpu": limits.cpu_seconds, "memory": limits.memory_bytes}
        return {name: value for name, value in wanted.items() if value is not None}

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, action))

    async def _settle(self, ended: Ended, folder: Path) -> None:
        if self._stopped_by is Stop.LOST:
            return
        if self._stopped_by in GIVES_BACK:
            await self._release()
            return
        limits, tail = self._plan.limits, self._output.tail
        file, most = folder / "result.json", self.lease.result_limit or RESULT_BYTES
        result = await asyncio.to_thread(report, ended, self._stopped_by, limits, tail, file, most)
        if result.large:
            try:
                await self._contents.send(self.lease, file, self._patience)
            except FailedError as error:
                if error.failure.reason not in NOT_KEPT:
                    self._unsettled(error)
                    return
                result = Report(
                    succeeded=False, reason="RESULT_INVALID", message=str(error), exit_code=result.exit_code
                )
        if not result.succeeded:
            await self._fail(result)
            return
        completion = worker_settle_pb2.Completion(
            token=self.lease.token,
            result=result.result,
            message=result.message,
            exit_code=result.exit_code,
            result_kept=result.large,
        )
        request = worker_settle_pb2.CompleteRequest(completions=[completion])
        try:
            answer = await self._calls.patiently(self._stub.Complete, request, patience=self._patience)
        except FailedError as error:
            self._unsettled(error)
        else:
            self._settled("succeeded", answer.settlements[0])

    async def _fail(self, result: Report) -> None:
        failure = worker_settle_pb2.Failure(
            token=self.lease.token,
            reason=result.reason,
            message=result.message,
            result=result.result,
            exit_code=result.exit_code,
            cancelled=result.cancelled,
            result_kept=result.large,
        )
        request = worker_settle_pb2.FailRequest(failures=[failure])
        try:
            answer = await self._calls.patiently(self._stub.Fail, request, patience=self._patience)
        except FailedError as error:
            self._unsettled(error)
        else:
            self._settled(result.reason, answer.settlements[0])

    async def _release(self) -> None:
        request = worker_settle_pb2.ReleaseRequest(tokens=[self.lease.token])
        try:
            answer = await self._calls.patiently(self._stub.Release, request, patience=self._patience)
        except FailedError as error:
            self._unsettled(error)
        else:
            self._settled("given back", answer.settlements[0])

    def _patience(self) -> float:
        return LEAVING_SECONDS if self._stop is Stop.DRAINED else self._plan.unreachable_seconds

    def _settled(self, what: str, settlement: worker_settle_pb2.Settlement) -> None:
        if settlement.HasField("error"):
            _log.warning("%s: %s, but %s", self.name, what, of_status(settlement.error).message)
        else:
            _log.info("%s: %s", self.name, what)

    def _unsettled(self, error: FailedError) -> None:
        _log.error("%s: its end could not be reported: %s", self.name, error)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of one attempt, which nobody else can read."""
    folder = Path(tempfile.mkdtemp(prefix="jobyard-"))
    try:
        yield folder
    finally:
        # Programs may leave files in it that cannot be removed; that is no reason to fail their job.
        shutil.rmtree(folder, ignore_errors=True)
