"""The commands whose exit codes tell how jobs ended: no error of theirs looks like an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from typer.core import TyperCommand
from typer.exceptions import TyperException
from typing_extensions import override

from jobyard_server.cli.errors import CommandError, Exit, Outcome

_TOLD_AS: Final[Mapping[int, int]] = {Exit.FAILED: Outcome.REFUSED, Exit.USAGE: Outcome.USAGE}


class Waiting(TyperCommand):
    """`wait`, and any command with an option `--wait` when that is given."""

    @override
    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        """Read the arguments."""
        waits = self.name == "wait" or "--wait" in args
        try:
            return super().make_context(info_name, args, *more, **extra)
        except TyperException as error:
            if waits:
                error.exit_code = Outcome.USAGE
            raise

    @override
    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            if ctx.params.get("wait", True):
                error.code = _TOLD_AS.get(error.code, error.code)
            raise
