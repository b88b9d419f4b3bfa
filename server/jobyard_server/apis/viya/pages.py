"""Pages of collections by start and limit, and the lists of things that are few enough to be looked at one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote

from jobyard.viya.v1 import (
    definition_calls_pb2,
    job_list_calls_pb2,
    page_pb2,
    provider_calls_pb2,
    request_calls_pb2,
    request_job_calls_pb2,
)
from jobyard_server.apis.viya.filtering import read
from jobyard_server.apis.viya.members import Table
from jobyard_server.domain.filter import Scalar
from jobyard_server.domain.matching import matches
from jobyard_server.domain.reason import invalid

T = TypeVar("T")

USUAL_LIMIT: Final = 10
MOST: Final = 1000

Values = Mapping[str, Scalar]
"""What a thing holds, by column."""


ListRequest: TypeAlias = (
    job_list_calls_pb2.ListJobsRequest
    | job_list_calls_pb2.FilterJobsRequest
    | request_job_calls_pb2.ListJobRequestJobsRequest
    | request_job_calls_pb2.FilterJobRequestJobsRequest
    | request_calls_pb2.ListJobRequestsRequest
    | definition_calls_pb2.ListJobDefinitionsRequest
    | provider_calls_pb2.ListProvidersRequest
)
"""What the requests of all lists have in common is looked at here."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

    start: int
    limit: int
    filter: str
    sort_by: str

    @classmethod
    def of(cls, request: ListRequest, usual_order: str) -> Window:
        """Read it from a request."""
        for name in ("start", "limit"):
            if getattr(request, name) < 0:
                raise invalid(name, "is negative")
        limit = min(request.limit, MOST) if request.HasField("limit") else USUAL_LIMIT
        return cls(request.start, limit, request.filter, request.sort_by or usual_order)

    def page(self, count: int) -> page_pb2.Page:
        """Where it lies among so many."""
        end = self.start + self.limit
        step = self.limit or 1
        has_next = self.limit > 0 and end < count
        query = f"filter={quote(self.filter, safe='')}&" if self.filter else ""
        return page_pb2.Page(
            query=f"{query}sortBy={quote(self.sort_by, safe=':,')}",
            start=self.start,
            limit=self.limit,
            has_previous=self.start > 0,
            previous_start=max(0, self.start - self.limit),
            has_next=has_next,
            # Far behind the last one the next is a number that no field holds.
            next_start=end if has_next else 0,
            last_start=max(0, (count - 1) // step * step),
        )


def cut(things: Sequence[T], values: Callable[[T], Values], table: Table, window: Window) -> tuple[list[T], int]:
    """The part of a list that is asked for, and how many things match in all."""
    where = read(window.filter, table)
    order = table.order(window.sort_by)
    known = [(values(thing), thing) for thing in things]
    if where is not None:
        known = [(held, thing) for held, thing in known if matches(where, held.get)]
    for key in reversed(order):
        known.sort(key=partial(_place, key.field), reverse=key.descending)
    return [thing for _, thing in known[window.start : window.start + window.limit]], len(known)


def _place(column: str, known: tuple[Values, object]) -> tuple[bool, int, str]:
    """Where a thing stands by a column; what is missing comes first."""
    value = known[0].get(column)
    return (value is not None, value if isinstance(value, int) else 0, value if isinstance(value, str) else "")
