"""The filter language: what it reads, what it refuses and where it points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.filter import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, All, Any, Comparison, Not, Op, parse
from jobyard_server.domain.reason import Reason, Refused


def eq(field, value):
    return Comparison(field, Op.EQ, value)


A, B, C = eq("a", "1"), eq("b", "2"), eq("c", "3")

READ = {
    "a=1": A,
    " a = 1 ": A,
    "a=1 AND b=2": All((A, B)),
    "a=1 b=2 c=3": All((A, B, C)),
    "a=1 OR b=2 OR c=3": Any((A, B, C)),
    "(a=1 AND b=2) OR c=3": Any((All((A, B)), C)),
    "a=1 AND (b=2 OR c=3)": All((A, Any((B, C)))),
    "((a=1))": A,
    "NOT a=1": Not(A),
    "-a=1": Not(A),
    "NOT -a=1": Not(Not(A)),
    "-(a=1 OR b=2) c=3": All((Not(Any((A, B))), C)),
    "a!=x": Comparison("a", Op.NE, "x"),
    "a<=5 a>=-5": All((Comparison("a", Op.LE, "5"), Comparison("a", Op.GE, "-5"))),
    "a<5 a>4": All((Comparison("a", Op.LT, "5"), Comparison("a", Op.GT, "4"))),
    "a:*": Comparison("a", Op.HAS, "*"),
    "labels.team-1.b = x": eq("labels.team-1.b", "x"),
    'labels."a b/ä.\\"c" = x': eq('labels.a b/ä."c', "x"),
    "NOT labels.'AND' : x": Not(Comparison("labels.AND", Op.HAS, "x")),
    "a=1 and b=2 And not c=3": All((A, B, Not(C))),
    "a=1 or b=2": Any((A, B)),
    "a='it is'": eq("a", "it is"),
    'a="(b OR \\"c\\") \\\\"': eq("a", '(b OR "c") \\'),
    'a="AND"': eq("a", "AND"),
    "a>2026-01-31T23:59:59Z": Comparison("a", Op.GT, "2026-01-31T23:59:59Z"),
    "a>2026-01-31T23:59:59.25+01:00 b=2": All((Comparison("a", Op.GT, "2026-01-31T23:59:59.25+01:00"), B)),
    "a=2026-01-31": eq("a", "2026-01-31"),
    "a=ünïcödé_日本": eq("a", "ünïcödé_日本"),
}

REFUSED = {
    "a": "ends where an operator is expected",
    "a=": "ends where a value is expected",
    "=1": "expected a field at column 1",
    "a 1": "expected an operator at column 3",
    "a=1 AND": "ends where a field is expected",
    "a=1 AND OR b=2": "expected a field at column 9",
    "AND=1": "expected a field at column 1",
    "a=1 OR": "ends where a field is expected",
    "a=1 AND b=2 OR c=3": "mixes AND and OR without parentheses",
    "a=1 OR b=2 c=3": "mixes AND and OR without parentheses",
    "(a=1": "ends where ')' is expected",
    "(a=1 = ": "expected a field at column 6",
    "a=1)": "unexpected ')' at column 4",
    "a=(b)": "expected a value at column 3",
    "a=<b": "expected a value at column 3",
    "a='b": "cannot be read at column 3",
    "a!b": "cannot be read at column 2",
    'b."a"=1': "expected a field at column 1",
    'labels."a"': "ends where an operator is expected",
    "and=1": "expected a field at column 1",
    "1a=1": "expected a field at column 1",
    "a..b=1": "expected a field at column 1",
    "'a'=1": "expected a field at column 1",
    "NOT": "ends where a field is expected",
    "-": "ends where a field is expected",
}


@pytest.mark.parametrize(("text", "tree"), READ.items())
def test_reads(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_blank_is_no_filter(text):
    assert parse(text) is None


@pytest.mark.parametrize(("text", "problem"), REFUSED.items())
def test_refuses_and_says_where(text, problem):
    with pytest.raises(Refused) as caught:
        parse(text)
    refusal = caught.value.refusal
    assert refusal.reason is Reason.INVALID_FILTER
    assert problem in refusal.message
    assert [violation.field for violation in refusal.violations] == ["filter"]
    column = problem.partition(" at column ")[2]
    assert refusal.metadata == ({"column": column} if column else {})


@pytest.mark.parametrize(
    ("largest", "larger"),
    [
        ("a=" + "x" * (MAX_LENGTH - 2), "a=" + "x" * (MAX_LENGTH - 1)),
        (" ".join(["a=1"] * MAX_TERMS), " ".join(["a=1"] * (MAX_TERMS + 1))),
        ("(" * (MAX_DEPTH - 1) + "a=1" + ")" * (MAX_DEPTH - 1), "(" * MAX_DEPTH + "a=1" + ")" * MAX_DEPTH),
        ("NOT " * (MAX_DEPTH - 1) + "a=1", "NOT " * MAX_DEPTH + "a=1"),
    ],
    ids=["length", "terms", "brackets", "negations"],
)
def test_is_bounded(largest, larger):
    assert parse(largest) is not None
    with pytest.raises(Refused):
        parse(larger)


PIECES = st.sampled_from(
    ["a", "b.c", "labels.x", "=", "!=", "<", ">=", ":", "(", ")", "AND", "OR", "NOT", "-", "1", '"q"', "'", '"', "\\",
     "2026-01-01T00:00:00Z", " ", "\0", "é"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text):
    try:
        parse(text)
    except Refused as refused:
        assert refused.refusal.reason is Reason.INVALID_FILTER  # noqa: PT017 - either way is right


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}(\.[a-z0-9]{1,4})?", fullmatch=True)
COMPARISONS = st.builds(
    Comparison, NAMES, st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.HAS]), st.text(max_size=8)
)
TREES = st.recursive(
    COMPARISONS,
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=3).map(lambda found: All(tuple(found))),
        st.lists(parts, min_size=2, max_size=3).map(lambda found: Any(tuple(found))),
        parts.map(Not),
    ),
    max_leaves=8,
)


def written(tree) -> str:
    match tree:
        case Comparison(field, op, value):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'{field} {op.value} "{quoted}"'
        case Not(part):
            return f"NOT ({written(part)})"
        case All(parts):
            return " AND ".join(f"({written(part)})" for part in parts)
        case Any(parts):
            return " OR ".join(f"({written(part)})" for part in parts)


def levels(tree) -> int:
    parts = tree.parts if isinstance(tree, All | Any) else (tree.part,) if isinstance(tree, Not) else ()
    return 1 + max(map(levels, parts), default=0)


@given(TREES.filter(lambda tree: levels(tree) < MAX_DEPTH // 2))
def test_what_is_written_is_read_back(tree):
    text = written(tree)
    if "\n" not in text and len(text) <= MAX_LENGTH:
        assert parse(text) == tree
