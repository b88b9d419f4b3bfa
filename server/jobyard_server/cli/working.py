"""The command that runs a worker."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from jobyard_server.cli.errors import CommandError, Exit, UsageError, of_failure
from jobyard_server.cli.submitting import seconds_of
from jobyard_server.client.channel import Address, AddressError, from_environment
from jobyard_server.worker import environment
from jobyard_server.worker.command import CommandLineError
from jobyard_server.worker.command import argv_of as command_argv
from jobyard_server.worker.plan import Limits, Plan, default_name
from jobyard_server.worker.worker import RefusedError, Worker


def argv_of(command: str) -> tuple[str, ...]:
    """The argv of what --exec says."""
    try:
        return command_argv(command)
    except CommandLineError as error:
        raise UsageError(f"--exec: {error}", "--exec \"bash -c '...'\" runs a shell") from None


def passed(more: Sequence[str]) -> dict[str, str]:
    """What programs get of this process's environment."""
    try:
        return environment.passed(os.environ, more)
    except environment.VariableError as error:
        raise UsageError(f"--env {error}") from None


def bytes_of(text: str) -> int:
    """Bytes from `1048576`, `512K`, `64M` or `2G`."""
    units = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in units else ""
    number = number.removesuffix(unit)
    if not number.isdecimal() or int(number) == 0:
        raise UsageError(f"{text!r} is not an amount of memory; write 512M or 2G")
    return int(number) * units[unit]


def limits_of(
    cpu_seconds: float | None, memory: str | None, timeout: str | None, grace: str, output_limit: str
) -> Limits:
    """The limits that the options of the command mean."""
    return Limits(
        cpu_seconds=cpu_seconds,
        memory_bytes=bytes_of(memory) if memory else None,
        timeout_seconds=seconds_of(timeout) if timeout else None,
        grace_seconds=seconds_of(grace),
        output_bytes=bytes_of(output_limit),
    )


def run(server: str, plan: Plan) -> Exit:
    """Run a worker until a signal ends it."""
    try:
        return asyncio.run(_work(from_environment({**os.environ, "JOBYARD_SERVER": server}), plan))
    except AddressError as error:
        raise UsageError(str(error)) from None


async def _work(address: Address, plan: Plan) -> Exit:
    """Work until a signal says to leave."""
    _log_to_stderr()
    log = logging.getLogger("jobyard_server.worker")
    async with address.open() as channel:
        worker = Worker(channel, address.metadata, plan)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.leave)
        log.info("worker %s serves %s at %s", plan.name, ", ".join(plan.programs), address.target)
        try:
            await worker.run()
        except RefusedError as error:
            told = of_failure(error.failure, address.target)
            raise CommandError(told.message, *told.notes, code=told.code) from None
    log.info("left in good order")
    return Exit.OK


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    log = logging.getLogger("jobyard_server.worker")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


__all__ = ["Limits", "Plan", "argv_of", "bytes_of", "default_name", "limits_of", "passed", "run", "seconds_of"]
