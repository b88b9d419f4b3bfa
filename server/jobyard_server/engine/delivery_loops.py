"""The loops that keep deliveries moving: send what is due, take over what others left, forget what is long over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from jobyard_server.engine.supervisor import Loop, Step

if TYPE_CHECKING:
    from jobyard_server.engine.deliveries import Sender


class Keeping(Protocol):
    """What the store does with deliveries when time has passed. Each does a bounded piece and says how much it was."""

    async def release_deliveries(self) -> int:
        """Make ready again what was claimed by a process that did not finish it."""

    async def forget_deliveries(self, done_seconds: float, dead_seconds: float) -> int:
        """Forget deliveries that were made so long ago, or failed for good so long ago."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds for which deliveries are kept after their end, and between two looks."""

    done: float
    dead: float
    period: float


GATHER_SECONDS: Final = 0.05
"""Between two looks for what webhooks are to be told: commits that follow closely are looked at together."""


def delivery_loops(
    sender: Sender, webhooks: Step, store: Keeping, release_period: float, retention: Retention
) -> list[Loop]:
    """The loops of a sender; ``webhooks`` owes what webhooks are to be told."""
    return [
        # These wait by themselves until there is something to do.
        Loop("deliveries", 0.0, sender.step),
        Loop("webhooks", GATHER_SECONDS, webhooks),
        Loop("claims", release_period, store.release_deliveries),
        Loop(
            "delivery_retention",
            retention.period,
            lambda: store.forget_deliveries(retention.done, retention.dead),
        ),
    ]
