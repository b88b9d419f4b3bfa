"""Frozen dataclasses that every call makes: as cheap to make as if they were not frozen."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")


def hot(made: type[Made]) -> type[Made]:
    """Stands above ``@dataclass(frozen=True, slots=True)``. That nobody changes one is left to the type checker.

    A frozen dataclass sets each of its fields by a call that goes around its own lock, and is made in four times the
    time: for a job with its forty fields, a good part of what reading it over REST costs.
    """
    declared: Any = made
    if hasattr(made, "__post_init__") or any(each.kw_only or not each.init for each in fields(declared)):
        raise TypeError(f"{made.__name__} is made in a way of its own")
    of = [
        (each.name, object, field(default=each.default, default_factory=each.default_factory))
        for each in fields(declared)
    ]
    plain: Any = make_dataclass(made.__name__, of)
    declared.__init__ = plain.__init__
    del declared.__setattr__, declared.__delattr__
    return made
