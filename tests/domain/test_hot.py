"""Dataclasses made as if they were not frozen: what they promise otherwise still holds."""

from dataclasses import dataclass, field, replace

import pytest

from jobyard_server.domain.hot import hot


@hot
@dataclass(frozen=True, slots=True)
class Point:
    """Something with every kind of default."""

    x: int
    name: str = "origin"
    marks: list[str] = field(default_factory=list)

    @property
    def doubled(self) -> int:
        return 2 * self.x


def test_it_is_made_by_place_by_name_and_by_default():
    assert (Point(1).x, Point(1).name, Point(1).marks) == (1, "origin", [])
    assert Point(1, "a", marks=["b"]) == Point(x=1, name="a", marks=["b"])
    assert Point(3).doubled == 6


def test_what_a_factory_makes_is_not_shared():
    assert Point(1).marks is not Point(1).marks


def test_what_is_missing_or_too_much_is_refused():
    with pytest.raises(TypeError, match="x"):
        Point()
    with pytest.raises(TypeError, match="y"):
        Point(1, y=2)


def test_it_is_compared_copied_and_printed_as_before():
    assert Point(1) != Point(2)
    assert replace(Point(1), name="b") == Point(1, "b")
    assert repr(Point(1)) == "Point(x=1, name='origin', marks=[])"


def test_it_takes_no_field_that_was_not_declared():
    with pytest.raises(AttributeError):
        Point(1).other = 1


def test_it_can_be_a_key():
    @hot
    @dataclass(frozen=True, slots=True)
    class Key:
        name: str

    assert {Key("a"): 1}[Key("a")] == 1


def test_what_is_made_in_a_way_of_its_own_is_refused():
    @dataclass(frozen=True, slots=True)
    class Checked:
        name: str

        def __post_init__(self) -> None:
            assert self.name

    with pytest.raises(TypeError, match="Checked"):
        hot(Checked)
