"""Path templates: the grammar, its errors with their column, and the recorded templates of other implementations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.api_core import path_template
from hypothesis import assume, given
from hypothesis import strategies as st

from jobyard_server.transcoding.percent import encode
from jobyard_server.transcoding.router import Found, Missed, MultiSegment, Route, RouteConflictError, Router, extractor
from jobyard_server.transcoding.template import TemplateError, parse

RECORDED = json.loads((Path(__file__).parent / "vectors" / "path_templates.json").read_text())

LITERAL = st.text("abcXYZ019-._~", min_size=1, max_size=6)
FIELD = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=3).map(".".join)


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Draw a template out of the grammar, with at most one `**` and no field twice."""
    fields = iter(draw(st.lists(FIELD, min_size=6, max_size=6, unique=True)))
    rest_left = draw(st.booleans())
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        choice = draw(st.sampled_from(["literal", "any", "bare", "nested", "rest"]))
        if choice == "rest" and rest_left:
            rest_left = False
            parts.append(f"{{{next(fields)}={draw(LITERAL)}/**}}")
        elif choice == "any":
            parts.append("*")
        elif choice == "bare":
            parts.append(f"{{{next(fields)}}}")
        elif choice == "nested":
            parts.append(f"{{{next(fields)}={draw(LITERAL)}/*}}")
        else:
            parts.append(draw(LITERAL))
    return "/" + "/".join(parts) + draw(st.one_of(st.just(""), LITERAL.map(":{}".format)))


@given(templates())
def test_every_template_of_the_grammar_is_taken_apart(text: str) -> None:
    template = parse(text)
    assert template.text == text
    assert sum(segment.is_rest for segment in template.segments) <= 1
    assert len(template.variables) == text.count("{")


@given(st.text("/{}=*:.%abc_01", max_size=24))
def test_no_text_breaks_the_parser(text: str) -> None:
    column = 1
    try:
        parse(text)
    except TemplateError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1


@given(templates(), st.lists(st.text("abc019-._~:%+ é/", min_size=1, max_size=5), min_size=0, max_size=4))
def test_values_put_into_a_template_come_back_out(text: str, drawn: list[str]) -> None:
    """A client that expands a template and a server that matches it agree, as http.proto describes both."""
    template = parse(text)
    values = drawn or ["x"]
    taken = 0
    segments: list[str] = []
    for segment in template.segments:
        if not segment.wildcard:
            segments.append(segment.text)
        elif segment.is_rest:
            segments += [encode(value) for value in values]
        else:
            segments.append(encode(values[taken % len(values)]))
            taken += 1
    path = "/" + "/".join(segments) + (f":{template.verb}" if template.verb else "")
    router = Router([Route("GET", template, "it", "it")])
    found = router.find("GET", path)
    assert not isinstance(found, Missed)
    out = extractor(template, MultiSegment.ALL_EXCEPT_SLASH)(found.segments)
    for variable, value in zip(template.variables, out, strict=True):
        if variable.single:
            assert value in values or value in {s.text for s in template.segments}


@given(templates(), st.lists(LITERAL, min_size=1, max_size=4))
def test_the_client_library_of_google_agrees(text: str, drawn: list[str]) -> None:
    """What its clients expand is found here, and every variable comes back as it was put in."""
    template = parse(text)
    # The library knows neither verbs nor bare wildcards by name.
    wild = [index for index, segment in enumerate(template.segments) if segment.wildcard]
    named = {
        index
        for variable in template.variables
        for index in range(
            variable.start % len(template.segments) if variable.start < 0 else variable.start,
            variable.end + len(template.segments) if variable.end <= 0 else variable.end,
        )
    }
    assume(set(wild) <= named)
    # Nor does it send values that are mistaken for steps up.
    assume(not {".", ".."} & set(drawn))
    values = {}
    for variable in template.variables:
        start = variable.start if variable.start >= 0 else variable.start + len(template.segments)
        end = variable.end if variable.end > 0 else variable.end + len(template.segments)
        pieces = [
            segment.text if not segment.wildcard else "/".join(drawn) if segment.is_rest else drawn[0]
            for segment in template.segments[start:end]
        ]
        values[".".join(variable.field)] = "/".join(pieces)
    path = path_template.expand(text, **values)
    found = Router([Route("GET", template, "it", "it")]).find("GET", path)
    assert isinstance(found, Found)
    assert extractor(template, MultiSegment.ALL_EXCEPT_SLASH)(found.segments) == list(values.values())


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("v1", 1),
        ("/v1/", 5),
        ("/v1//a", 5),
        ("/v1/{a", 7),
        ("/v1/{}", 6),
        ("/v1/{1a}", 6),
        ("/v1/{a.}", 8),
        ("/v1/{a={b}}", 8),
        ("/v1/{a}/{a}", 9),
        ("/v1/**/**", 8),
        ("/v1:", 5),
        ("/v1:a:b", 6),
        ("/v1/a b", 6),
        ("/v1/%zz", 5),
        ("/v1/***", 7),
    ],
)
def test_a_bad_template_says_where(text: str, column: int) -> None:
    with pytest.raises(TemplateError, match=f"at column {column}") as caught:
        parse(text)
    assert caught.value.column == column


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["id"])
def test_recorded_templates(case: dict) -> None:
    assert case["semantics"] == "envoy"
    for text in case["invalid_templates"]:
        with pytest.raises(TemplateError):
            parse(text, wildcard_after_rest=False)
    routes = [
        Route(each["method"], parse(each["template"], wildcard_after_rest=False), each["id"], each["id"])
        for each in case["routes"]
    ]
    if case["id"] == "gjt/ReplacevoidForPath":
        # There a second method on one path makes look-ups fail silently; here it is refused at the start.
        with pytest.raises(RouteConflictError, match="second_mock_proc and first_mock_proc"):
            Router(routes)
        return
    router = Router(routes)
    for each in case["cases"]:
        check(router, each, MultiSegment(case["options"]["multi_segment_unescape"]))


def check(router: Router[str], case: dict, multi: MultiSegment) -> None:
    repeat = case.get("path_repeat")
    path = repeat["prefix"] + repeat["unit"] * repeat["count"] + repeat["suffix"] if repeat else case["path"]
    if not path.startswith("/"):
        # No HTTP server lets such a target through.
        assert case["route"] is None
        return
    found = router.find(case["method"], path)
    if case["route"] is None:
        assert isinstance(found, Missed)
        return
    assert not isinstance(found, Missed)
    route = found.routes[0]
    assert route.target == case["route"]
    values = extractor(route.template, multi)(found.segments)
    bound = [[".".join(each.field), value] for each, value in zip(route.template.variables, values, strict=True)]
    # What the query adds is bound elsewhere.
    assert bound == case["bindings"][: len(bound)]
    if not case.get("query"):
        assert len(bound) == len(case["bindings"])
