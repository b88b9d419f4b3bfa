"""The keeper: a small process beside the worker that starts its programs, limits them, and ends them with their groups.

It is a process of its own for three reasons. Limits must be set between fork and exec, and only a process with a single
thread may run code there; gRPC has many. When the worker is killed, somebody must still be there to end its programs:
the socket closes, and the keeper kills whatever it has. And whoever a program leaves behind becomes a child of the
keeper, which reaps it.

It is started by path with an isolated interpreter, and uses the standard library alone. Every message on its socket is
one JSON object. It is told ``{"start": id, "argv": [...], "env": {...}, "limits": {...}}``, with the descriptors of
stdin and of stdout beside the message, and ``{"signal": id, "number": n}``; it tells ``{"started": id, "pid": n}``,
``{"refused": id, "problem": "..."}`` and ``{"ended": id, "status": n, "cpu": seconds, "memory": bytes}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

MESSAGE_BYTES: Final = 1024 * 1024
PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PAGE_BYTES: Final = resource.getpagesize()


@dataclass(frozen=True)
class Process:
    """A process of this machine."""

    pid: int
    parent: int
    group: int
    session: int
    memory: int
    """Bytes in main memory."""


class Keeper:
    """The programs of one worker, by their process ids."""

    def __init__(self, worker: socket.socket) -> None:
        self._worker = worker
        self._programs: dict[int, int] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self) -> None:
        """Serve the worker until it is gone, then end everything."""
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The worker decides when its programs end, also when a terminal or a service manager signals everybody.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(self._worker, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is wake:
                        wake.recv(4096)
                    elif not self._hear():
                        self._end_all()
                        return
                self._reap()

    def _hear(self) -> bool:
        try:
            raw, descriptors, _, _ = socket.recv_fds(self._worker, MESSAGE_BYTES, 2)
        except OSError:
            return False
        if not raw:
            return False
        try:
            self._obey(json.loads(raw), descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _obey(self, said: dict[str, Any], descriptors: list[int]) -> None:
        if "start" in said:
            self._start(said, descriptors)
            return
        for pid, program in self._programs.items():
            if program == said["signal"]:
                # Not reaped yet, so nobody else can have got this number.
                _signal_session(pid, said["number"])

    def _start(self, said: dict[str, Any], descriptors: list[int]) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's argv, no shell
                said["argv"],
                env=said["env"],
                stdin=descriptors[0],
                stdout=descriptors[1],
                stderr=descriptors[1],
                start_new_session=True,
                preexec_fn=self._prepare(said["limits"]),  # noqa: PLW1509 - one thread only
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._tell(refused=said["start"], problem=f"{type(error).__name__}: {error}")
            return
        # Reaped here, not by subprocess.
        process.returncode = 0
        self._programs[process.pid] = said["start"]
        self._tell(started=said["start"], pid=process.pid)

    def _prepare(self, limits: dict[str, Any]) -> Callable[[], None]:
        """What happens between fork and exec."""
        keeper = os.getpid()

        def prepare() -> None:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != keeper:
                os._exit(127)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if cpu := limits.get("cpu"):
                # The soft limit sends SIGXCPU, which may be caught; the hard one, a little later, kills.
                _lower(resource.RLIMIT_CPU, int(cpu), int(cpu) + 5)
            if memory := limits.get("memory"):
                # The worker looks at what is really used; this only stops what grows between two looks.
                _lower(resource.RLIMIT_DATA, int(memory) * 2, int(memory) * 2)

        return prepare

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            program = self._programs.pop(ended.si_pid, None)
            if program is not None:
                # While its leader is not reaped the number of the session belongs to nobody else.
                _signal_session(ended.si_pid, signal.SIGKILL)
            _, status, used = os.wait4(ended.si_pid, 0)
            if program is not None:
                cpu = used.ru_utime + used.ru_stime
                self._tell(ended=program, status=status, cpu=cpu, memory=used.ru_maxrss * 1024)

    def _tell(self, **message: object) -> None:
        try:
            self._worker.send(json.dumps(message).encode())
        except OSError:
            # The worker is gone; the loop will find out.
            return

    def _end_all(self) -> None:
        for pid in self._programs:
            _signal_session(pid, signal.SIGKILL)
        own = os.getpid()
        for process in processes():
            # Whoever left the session of its program, and lost its parent, became our child.
            if process.parent == own:
                os.kill(process.pid, signal.SIGKILL)


def processes() -> Iterator[Process]:
    """Every process there is."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - many of them
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - many of them
                # The name of the program comes in brackets and may hold anything, brackets too.
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            yield Process(int(name), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[21]) * PAGE_BYTES)


def _signal_session(leader: int, number: int) -> None:
    """Signal a program's whole session: shells and `timeout` put what they start into groups of their own."""
    groups = {process.group for process in processes() if process.session == leader} | {leader}
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            # All of them have ended, or became somebody else's.
            continue


def _lower(limit: int, soft: int, hard: int) -> None:
    """Set a limit, never above the one there is."""
    most = resource.getrlimit(limit)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(limit, (soft, hard))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        Keeper(channel).run()
