"""Programs as the worker sees them: started, signalled and waited for through the keeper."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

KEEPER: Final = Path(__file__).with_name("keeper.py")
MESSAGE_BYTES: Final = 1024 * 1024
ANSWER_BYTES: Final = 64 * 1024

_log = logging.getLogger(__name__)


class NotStartedError(Exception):
    """The program could not be started; the text says why."""


class KeeperLostError(Exception):
    """The keeper has ended, and its programs with it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int
    """As the kernel says it."""
    cpu_seconds: float
    memory_bytes: int
    """The most that any of its processes had in main memory."""

    @property
    def exit_code(self) -> int | None:
        """The exit code, if it exited."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None

    @property
    def signal_name(self) -> str | None:
        """The signal that ended it, if one did."""
        if not os.WIFSIGNALED(self.status):
            return None
        number = os.WTERMSIG(self.status)
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"


class Program:
    """A program that runs."""

    def __init__(self, programs: Programs, number: int) -> None:
        self._programs = programs
        self._number = number
        self.pid = 0
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def signal(self, number: signal.Signals) -> None:
        """Signal all its processes; nothing when it has ended."""
        if not self.ended.done():
            self._programs.signal(self._number, int(number))


class Programs:
    """The programs of one worker. A keeper that died is replaced when the next program is started."""

    def __init__(self) -> None:
        self._keeper: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._running: dict[int, Program] = {}
        self._numbers = count(1)

    async def start(
        self, argv: Sequence[str], env: Mapping[str, str], limits: Mapping[str, float], stdin: int, stdout: int
    ) -> Program:
        """Start a program in a session of its own; the descriptors stay the caller's."""
        if self._socket is None:
            self._start_keeper()
        program = Program(self, number := next(self._numbers))
        self._running[number] = program
        message = {"start": number, "argv": list(argv), "env": dict(env), "limits": dict(limits)}
        try:
            await self._order(message, stdin, stdout)
            await program.started
        except BaseException:
            self._running.pop(number, None)
            raise
        return program

    def signal(self, number: int, sent: int) -> None:
        """Signal a program."""
        if self._socket is None:
            return
        try:
            self._socket.send(json.dumps({"signal": number, "number": sent}).encode())
        except BlockingIOError:
            # Hundreds of messages wait for the keeper, which takes a millisecond or two for each.
            asyncio.get_running_loop().call_later(0.01, self.signal, number, sent)
        except OSError:
            # It is gone, and its programs with it; whoever waits for them is told.
            return

    async def _order(self, message: Mapping[str, Any], *descriptors: int) -> None:
        raw = json.dumps(message).encode()
        while True:
            if self._socket is None:
                raise KeeperLostError
            try:
                socket.send_fds(self._socket, [raw], descriptors)
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError as error:
                raise NotStartedError(f"arguments and environment have {len(raw)} bytes: {error}") from error
            else:
                return

    async def close(self) -> None:
        """End the keeper, and with it whatever still runs."""
        keeper, self._keeper = self._keeper, None
        self._forget_socket()
        if keeper is not None:
            await asyncio.to_thread(keeper.wait)

    def _start_keeper(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_BYTES)
            ours.setblocking(False)
            # -I: neither the environment nor the folder it is started in changes what it imports.
            command = [sys.executable, "-I", "-S", str(KEEPER), str(theirs.fileno())]
            self._keeper = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603 - our own
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)

    def _hear(self) -> None:
        while self._socket is not None:
            try:
                raw = self._socket.recv(ANSWER_BYTES)
            except BlockingIOError:
                return
            except OSError:
                raw = b""
            if not raw:
                self._lose_keeper()
                return
            self._take(json.loads(raw))

    def _take(self, said: dict[str, Any]) -> None:
        if (number := said.get("started")) is not None and (program := self._running.get(number)):
            program.pid = said["pid"]
            _resolve(program.started, None)
        elif (number := said.get("refused")) is not None and (program := self._running.pop(number, None)):
            if not program.started.done():
                program.started.set_exception(NotStartedError(said["problem"]))
        elif (number := said.get("ended")) is not None and (program := self._running.pop(number, None)):
            _resolve(program.ended, Ended(said["status"], said["cpu"], said["memory"]))

    def _lose_keeper(self) -> None:
        self._forget_socket()
        running, self._running = self._running, {}
        if self._keeper is not None:
            _log.error("the keeper of the programs ended with %s; the programs have ended with it", self._keeper.wait())
            self._keeper = None
        for program in running.values():
            future = program.ended if program.started.done() else program.started
            if not future.done():
                future.set_exception(KeeperLostError())

    def _forget_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)
