"""What a vector expects of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apis.viya.yard import Answer

KNOWN = {
    *("status", "headers", "json", "json_exact", "json_exact_len", "items_in_order", "absent", "no_link", "text"),
    "elapsed_equals",
}


def check(answer: Answer, expect: Mapping[str, Any]) -> None:
    """Hold an answer against all that is expected of it."""
    assert expect.keys() <= KNOWN, expect.keys() - KNOWN
    assert answer.status == expect["status"], answer.body
    for name, wanted in expect.get("headers", {}).items():
        assert said(answer.headers.get(name.lower(), ""), wanted), (name, answer.headers)
    if "text" in expect:
        assert said(answer.text, expect["text"]), answer.text
    if expect.keys() - {"status", "headers", "text"}:
        check_body(answer, expect)


def check_body(answer: Answer, expect: Mapping[str, Any]) -> None:
    """Hold the JSON of an answer against what is expected of it."""
    for name, value in expect.get("json", {}).items():
        assert holds(answer.json.get(name), value), (name, value, answer.json)
    for name, value in expect.get("json_exact", {}).items():
        assert answer.json[name] == value
    for name, length in expect.get("json_exact_len", {}).items():
        assert len(answer.json[name]) == length
    if "items_in_order" in expect:
        for item, wanted in zip(answer.json["items"], expect["items_in_order"], strict=True):
            assert holds(item, wanted), (wanted, item)
    for name in expect.get("absent", ()):
        assert name not in answer.json, answer.json
    for rel in expect.get("no_link", ()):
        assert rel not in {link["rel"] for link in answer.json["links"]}
    if "elapsed_equals" in expect:
        end, start = (datetime.fromisoformat(answer.json[name]) for name in expect["elapsed_equals"])
        assert answer.json["elapsedTime"] == round((end - start).total_seconds() * 1000)


def holds(actual: Any, wanted: Any) -> bool:
    """Whether a value is what is wanted: objects may have more members, lists more items."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            name in actual and holds(actual[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(actual, list) and all(any(holds(item, each) for item in actual) for each in wanted)
    if isinstance(wanted, str) and isinstance(actual, str):
        return said(actual, wanted)
    return type(actual) is type(wanted) and actual == wanted


def said(actual: str, wanted: str) -> bool:
    """Whether a text is the wanted one, matches ``~pattern``, or is not ``!text``."""
    if wanted.startswith("~"):
        return re.search(wanted[1:], actual) is not None
    return actual != wanted[1:] if wanted.startswith("!") else actual == wanted
