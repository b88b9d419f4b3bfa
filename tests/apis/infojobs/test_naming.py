"""Names of types: versions, and which stands in for which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.infojobs.naming import choose, same_kind, stands_in, type_name

NUMBERS = st.integers(0, 20)
VERSIONS = st.tuples(NUMBERS, NUMBERS, NUMBERS)


def spelled(version: tuple[int, int, int]) -> str:
    return "type_" + ".".join(map(str, version))


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("pm_1.5.0", "pm", (1, 5, 0)),
        ("my_type_2.0.10", "my_type", (2, 0, 10)),
        ("my_type", "my_type", None),
        ("typeId1", "typeId1", None),
        ("pm_1.5", "pm_1.5", None),
        ("_1.5.0", "_1.5.0", None),
        ("pm_1.5.x", "pm_1.5.x", None),
    ],
)
def test_taken_apart(text, name, version):
    found = type_name(text)
    assert (found.name, found.version) == (name, version)


def test_the_very_one_wins():
    assert choose("type_1.5.0", ["type_1.6.0", "type_1.5.0", "type_1.5.1"]) == "type_1.5.0"


def test_a_malformed_one_among_them_is_passed_over():
    assert choose("type_1.1.0", ["type_x.y.z", "type_1.6.0", "type_"]) == "type_1.6.0"


def test_the_patch_does_not_matter():
    assert choose("type_1.5.7", ["type_1.5.0"]) == "type_1.5.0"


def test_kinds_are_compared_whole():
    assert same_kind("pm_1.5.0", "pm_2.0.0")
    assert not same_kind("info_type_1", "info_type_2")
    assert not same_kind("pm_1.5.0", "pm-extra_1.5.0")


@given(VERSIONS, st.lists(VERSIONS, max_size=8))
def test_the_lowest_that_fits_is_chosen(wanted, registered):
    names = [spelled(version) for version in registered]
    fitting = [one for one in registered if one[0] == wanted[0] and one[1] >= wanted[1]]
    expected = wanted if wanted in registered else min(fitting, default=None)
    assert choose(spelled(wanted), names) == (None if expected is None else spelled(expected))


@given(VERSIONS, VERSIONS, VERSIONS)
def test_standing_in_goes_on(one, other, third):
    first, second, last = (type_name(spelled(version)) for version in (one, other, third))
    assert stands_in(first, first)
    if stands_in(first, second) and stands_in(second, last) and second.version and last.version:
        assert stands_in(first, last) or first.text == second.text or second.version[1] < last.version[1]
