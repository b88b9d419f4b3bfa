"""What filters mean for values at hand, missing ones included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.filter import All, Any, Comparison, Not, Op
from jobyard_server.domain.matching import matches

VALUE = {"text": "carrot", "number": 5, "missing": None}


@pytest.mark.parametrize(
    ("field", "op", "wanted", "holds"),
    [
        ("text", Op.EQ, "carrot", True),
        ("text", Op.EQ, "Carrot", False),
        ("text", Op.NE, "beet", True),
        ("text", Op.LT, "d", True),
        ("text", Op.GE, "carrot", True),
        ("text", Op.HAS, "rro", True),
        ("text", Op.HAS, "", True),
        ("text", Op.STARTS_WITH, "car", True),
        ("text", Op.ENDS_WITH, "car", False),
        ("text", Op.ENDS_WITH, "rot", True),
        ("text", Op.IN, ("beet", "carrot"), True),
        ("text", Op.IN, (), False),
        ("text", Op.EQ, 5, False),
        ("text", Op.NE, 5, True),
        ("text", Op.LT, 5, False),
        ("number", Op.EQ, 5, True),
        ("number", Op.LE, 5, True),
        ("number", Op.GT, 5, False),
        ("number", Op.HAS, 5, False),
        ("number", Op.EQ, "5", False),
        ("missing", Op.EQ, "", False),
        ("missing", Op.NE, "", True),
        ("missing", Op.LT, 9, False),
        ("missing", Op.IN, (None, ""), False),
        ("missing", Op.IS_NULL, None, True),
        ("text", Op.IS_NULL, None, False),
    ],
)
def test_comparisons(field, op, wanted, holds):
    comparison = Comparison(field, op, wanted)
    assert matches(comparison, VALUE.get) is holds
    assert matches(Not(comparison), VALUE.get) is not holds


YES, NO = Comparison("number", Op.EQ, 5), Comparison("number", Op.EQ, 6)


@given(st.lists(st.booleans(), max_size=5))
def test_all_and_any(wanted):
    parts = tuple(YES if one else NO for one in wanted)
    assert matches(All(parts), VALUE.get) is all(wanted)
    assert matches(Any(parts), VALUE.get) is any(wanted)
