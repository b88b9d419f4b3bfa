"""Says that something does not work, and does not say it over and over."""

from __future__ import annotations

import logging
from time import monotonic


class Complaints:
    """Complaints about one thing: the first at once, each further one after twice the time of the one before."""

    def __init__(self, log: logging.Logger, first_seconds: float = 2.0) -> None:
        self._log = log
        self._first = first_seconds
        self._wait = 0.0
        self._next = 0.0

    def make(self, words: str, *values: object) -> None:
        """Complain, unless that has just been done."""
        now = monotonic()
        if now < self._next:
            return
        self._log.warning(words, *values)
        self._wait = self._wait * 2 or self._first
        self._next = now + self._wait

    def end(self) -> None:
        """It works again."""
        if self._wait:
            self._log.info("the server answers again")
        self._wait = self._next = 0.0
