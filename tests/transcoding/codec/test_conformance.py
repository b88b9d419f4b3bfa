"""Google's conformance suite for proto3 JSON, recorded: every case, read and printed as the suite approved."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from support.codec_conformance import Case, Outcome, make, recorded, run

CASES = list(recorded())
MESSAGES = sorted({case.message for case, _ in CASES})

# Cases in which the codec does otherwise than the suite asks, each with its reason. None so far.
DIFFERENT: dict[str, str] = {}


def same(case: Case, outcome: Outcome, approved: Outcome) -> bool:
    """Compare what came with what was approved: JSON by its values, messages by their fields."""
    if outcome.json is not None and approved.json is not None:
        return json.loads(outcome.json) == json.loads(approved.json)
    if outcome.wire is not None and approved.wire is not None:
        ours, theirs = make(case.message), make(case.message)
        ours.ParseFromString(outcome.wire)
        theirs.ParseFromString(approved.wire)
        # NaN is not equal to itself, but its bytes are.
        return ours == theirs or outcome.wire == approved.wire
    return bool(outcome.refused) and outcome.refused == approved.refused


@pytest.mark.parametrize("message", MESSAGES)
def test_every_case_is_as_the_suite_approved(message):
    wrong = [
        f"{case.name}: {outcome} instead of {approved}"
        for case, approved in CASES
        if case.message == message and case.name not in DIFFERENT
        if not same(case, outcome := run(case), approved)
    ]
    assert wrong == []


def test_the_record_is_whole():
    kinds = Counter("JSON read" if isinstance(case.payload, str) else "JSON printed" for case, _ in CASES)
    assert kinds["JSON read"] > 1500
    assert kinds["JSON printed"] > 1200
    assert sum(1 for _, approved in CASES if approved.refused) > 400
    assert set(DIFFERENT) <= {case.name for case, _ in CASES}


def test_the_names_belong_to_their_cases():
    assert [case.name for case, _ in CASES if (".JsonInput." in case.name) != isinstance(case.payload, str)] == []
