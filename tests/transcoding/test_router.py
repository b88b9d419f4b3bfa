"""Routing: the most specific route, whatever the order of declaration; conflicts; verbs; the cost of many routes."""

from __future__ import annotations

import sys
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.router import (
    EVERY_VERB,
    NO_BODY,
    Found,
    Missed,
    MultiSegment,
    Route,
    RouteConflictError,
    Router,
    extractor,
)
from jobyard_server.transcoding.template import parse

ROUTES = (
    "/v1/jobs",
    "/v1/jobs/{id}",
    "/v1/jobs/@selection",
    "/v1/jobs/{id}:cancel",
    "/v1/jobs/{id}/state",
    "/v1/{rest=**}",
    "/v1/jobs/{id=*/deep/**}",
    "/v1/{rest=**}/end",
    "/{any=**}",
)
EXPECTED = {
    "/v1/jobs": "/v1/jobs",
    "/v1/jobs/7": "/v1/jobs/{id}",
    "/v1/jobs/%40selection": "/v1/jobs/@selection",
    "/v1/jobs/@selection": "/v1/jobs/@selection",
    "/v1/jobs/a:b": "/v1/jobs/{id}",
    "/v1/jobs/a:b:cancel": "/v1/jobs/{id}:cancel",
    "/v1/jobs/a%3Acancel": "/v1/jobs/{id}",
    "/v1/jobs/a:c%61ncel": "/v1/jobs/{id}:cancel",
    "/v1/jobs/a:c%zzncel": "/v1/jobs/{id}",
    "/v1/jobs/7/state": "/v1/jobs/{id}/state",
    "/v1/jobs/7/deep/x/y": "/v1/jobs/{id=*/deep/**}",
    "/v1/jobs/7/deep": "/v1/jobs/{id=*/deep/**}",
    "/v1/jobs/7/other": "/v1/{rest=**}",
    "/v1/a/b/end": "/v1/{rest=**}/end",
    "/v1/end": "/v1/{rest=**}/end",
    "/v1": "/v1/{rest=**}",
    "/": "/{any=**}",
    "/x": "/{any=**}",
    "/v1/jobs/": "/v1/{rest=**}",
}


def router(*templates: str, verb: str = "GET") -> Router[str]:
    return Router([Route(verb, parse(text), text, text) for text in templates])


def target(found: Found[str] | Missed) -> str:
    assert isinstance(found, Found), found
    return found.routes[0].target


@given(st.permutations(ROUTES))
@settings(max_examples=60)
def test_the_order_of_declaration_never_matters(order: list[str]) -> None:
    shuffled = router(*order)
    for path, template in EXPECTED.items():
        assert target(shuffled.find("GET", path)) == template, path


def test_values_are_decoded_once() -> None:
    template = parse("/v1/{one}/{several=a/*/**}")
    found = Router([Route("GET", template, "t", "t")]).find("GET", "/v1/a%252Fb%2Fc%20d/a/x%2Fy%3F/z%2525")
    assert isinstance(found, Found)
    assert extractor(template, MultiSegment.ALL_EXCEPT_SLASH)(found.segments) == ["a%2Fb/c d", "a/x%2Fy?/z%25"]
    assert extractor(template, MultiSegment.ALL_EXCEPT_RESERVED)(found.segments) == ["a%2Fb/c d", "a/x%2Fy%3F/z%25"]


def test_another_verb_tells_which_are_allowed() -> None:
    both = Router([Route("GET", parse("/a/{x}"), "get", "get"), Route("PUT", parse("/{y}/b"), "put", "put")])
    assert both.find("DELETE", "/a/b") == Missed(frozenset({"GET", "PUT"}))
    assert target(both.find("PUT", "/a/b")) == "put"
    assert both.find("GET", "/nothing/here/x") == Missed(frozenset())


def test_a_method_for_every_verb() -> None:
    every = Router([Route(EVERY_VERB, parse("/a"), "every", "every"), Route("GET", parse("/a"), "get", "get")])
    assert target(every.find("BREW", "/a")) == "every"
    assert target(every.find("GET", "/a")) == "get"


def test_an_empty_segment_is_no_value() -> None:
    assert router("/a/{x}").find("GET", "/a/") == Missed(frozenset())
    assert router("/a/{x}/b").find("GET", "/a//b") == Missed(frozenset())


@pytest.mark.parametrize(("first", "second"), list(permutations(["/v1/{a}/x", "/v1/{b=*}/x"])))
def test_a_conflict_names_both_methods(first: str, second: str) -> None:
    routes = [Route("GET", parse(first), 1, "shop.Get"), Route("GET", parse(second), 2, "shop.Fetch")]
    with pytest.raises(RouteConflictError, match=r"shop\.Fetch and shop\.Get both answer GET"):
        Router(routes)


def test_media_types_tell_methods_on_one_path_apart() -> None:
    template = parse("/jobs")
    submit = Route("POST", template, "submit", "Submit", frozenset({"application/json", NO_BODY}))
    search = Route("POST", template, "search", "Search", frozenset({"text/plain"}))
    found = Router([submit, search]).find("POST", "/jobs")
    assert isinstance(found, Found)
    assert {route.target for route in found.routes} == {"submit", "search"}
    with pytest.raises(RouteConflictError, match="for text/plain"):
        Router([search, Route("POST", template, "other", "Other", frozenset({"text/plain", "text/csv"}))])
    with pytest.raises(RouteConflictError, match="requests without a body"):
        Router([submit, Route("POST", template, "other", "Other", frozenset({NO_BODY}))])
    with pytest.raises(RouteConflictError):
        Router([submit, Route("POST", template, "other", "Other")])


SEGMENT = st.sampled_from(["a", "b", "*", "{x}", "**"])


@given(st.lists(st.lists(SEGMENT, min_size=1, max_size=4), min_size=1, max_size=8), st.text("ab/:%20", max_size=10))
def test_the_tree_agrees_with_trying_every_template(shapes: list[list[str]], tail: str) -> None:
    """A plain matcher, slow and obvious, finds a match exactly when the tree does."""
    templates = {}
    for shape in shapes:
        text = "/" + "/".join(part.replace("{x}", f"{{x{i}}}") for i, part in enumerate(shape))
        if text.count("**") <= 1:
            templates[parse(text).shape] = text
    tree = router(*templates.values()) if templates else Router[str]([])
    path = "/" + tail
    segments = [] if path == "/" else path[1:].split("/")
    expected = any(plainly_matches(parse(text).shape, segments) for text in templates.values())
    assert isinstance(tree.find("GET", path), Found) == expected


def plainly_matches(shape: tuple[tuple[str, bool], ...], segments: list[str]) -> bool:
    if not shape:
        return not segments
    (text, wildcard), *rest = shape
    if wildcard and text == "**":
        return any(plainly_matches(tuple(rest), segments[used:]) for used in range(len(segments) + 1))
    if not segments:
        return False
    fits = bool(segments[0]) if wildcard else segments[0] == text
    return fits and plainly_matches(tuple(rest), segments[1:])


def test_ten_thousand_routes_take_no_more_steps_than_ten() -> None:
    def steps(count: int) -> list[str]:
        many = router(*(f"/v1/kind{number}/{{id}}/parts/{{part}}" for number in range(count)))
        called: list[str] = []
        sys.setprofile(lambda frame, event, _arg: called.append(f"{event} {frame.f_code.co_name}"))
        try:
            many.find("GET", "/v1/kind7/abc/parts/x")
        finally:
            sys.setprofile(None)
        return called

    assert len(steps(10)) > 10
    assert steps(10_000) == steps(10)


def test_a_path_of_many_segments_costs_its_length() -> None:
    deep = router("/a/{x=**}/z", "/a/{x=**}/y/z", "/{p}/{q}/{r=**}")
    assert target(deep.find("GET", "/a" + "/b" * 64_000 + "/z")) == "/a/{x=**}/z"
