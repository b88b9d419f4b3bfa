"""Deliveries: addresses, judgements, waits and circuits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.address import destination_of
from jobyard_server.domain.delivery import (
    CIRCUIT_FAILURES,
    CIRCUIT_LONGEST,
    Answer,
    DeliveryPolicy,
    Problem,
    Verdict,
    circuit_after,
    healthy,
    judge_below_400,
    judge_success,
)


@pytest.mark.parametrize(
    ("address", "destination"),
    [
        ("http://Producer.Local/jobs", "http://producer.local:80"),
        ("https://producer.local./jobs?a=b#c", "https://producer.local:443"),
        ("http://10.1.2.3:8080", "http://10.1.2.3:8080"),
        ("http://[2001:DB8::1]:81/x", "http://[2001:db8::1]:81"),
        ("HTTPS://a.example:443/", "https://a.example:443"),
    ],
)
def test_one_destination_has_one_spelling(address, destination):
    assert destination_of(address) == destination


@pytest.mark.parametrize(
    "address",
    [
        "", "/jobs", "ftp://a/", "http://", "http:///jobs", "http://user@a/", "http://user:word@a/", "http://a:0/",
        "http://a:99999/", "http://a:b/", "http://a b/", "http://a/\r\nX: y", "http://ä.example/", "http://[::1/",
        "http://a\\@b/", "http://" + "a" * 9000,
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_peer_is_refused(address):
    with pytest.raises(ValueError, match=r"^(has|is|names|holds) "):
        destination_of(address)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    for address in (text, f"http://{text}"):
        try:
            scheme, _, rest = destination_of(address).partition("://")
        except ValueError:
            continue
        assert scheme in {"http", "https"}
        assert rest.rpartition(":")[2].isdigit()


def answers(status=0, problem=None):
    return Answer(status, problem=problem)


@pytest.mark.parametrize(
    ("answer", "strict", "lax", "well"),
    [
        (answers(204), Verdict.DONE, Verdict.DONE, True),
        (answers(302), Verdict.RETRY, Verdict.DONE, True),
        (answers(404), Verdict.RETRY, Verdict.RETRY, True),
        (answers(410), Verdict.GIVE_UP, Verdict.GIVE_UP, True),
        (answers(429), Verdict.RETRY, Verdict.RETRY, False),
        (answers(503), Verdict.RETRY, Verdict.RETRY, False),
        (answers(problem=Problem.TIMED_OUT), Verdict.RETRY, Verdict.RETRY, False),
        (answers(problem=Problem.UNREACHABLE), Verdict.RETRY, Verdict.RETRY, False),
        (answers(problem=Problem.ADDRESS_REFUSED), Verdict.GIVE_UP, Verdict.GIVE_UP, None),
        (answers(problem=Problem.UNRENDERED), Verdict.RETRY, Verdict.RETRY, None),
    ],
)
def test_what_an_answer_means(answer, strict, lax, well):
    assert (judge_success(answer), judge_below_400(answer)) == (strict, lax)
    assert healthy(answer, judge_success(answer)) is well


def test_who_refuses_for_good_is_well():
    assert healthy(answers(501), Verdict.GIVE_UP)
    assert not healthy(answers(501), Verdict.RETRY)


def test_waits_grow_to_the_longest_and_no_further():
    policy = DeliveryPolicy(first_wait=1, multiplier=2, max_wait=30, jitter=0)
    assert [policy.wait(attempt, 0.3) for attempt in (1, 2, 3, 5, 6, 500)] == [1, 2, 4, 16, 30, 30]


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_chance_only_shortens_a_wait_and_never_below_its_part(attempts, chance, jitter):
    policy = DeliveryPolicy(jitter=jitter)
    full = DeliveryPolicy(jitter=0).wait(attempts, 0)
    assert full * (1 - jitter) <= policy.wait(attempts, chance) <= full


def test_attempts_are_counted_unless_without_limit():
    assert [DeliveryPolicy(attempts=2).allows(made) for made in (1, 2, 3)] == [True, False, False]
    assert DeliveryPolicy(attempts=0).allows(10**9)


def test_a_circuit_opens_after_some_failures_for_longer_and_longer_and_closes_at_once():
    failures, waits = 0, []
    for _ in range(CIRCUIT_FAILURES + 8):
        circuit = circuit_after(failures, False, 0)
        failures = circuit.failures
        waits.append(circuit.blocked_for)
    assert waits[: CIRCUIT_FAILURES - 1] == [0] * (CIRCUIT_FAILURES - 1)
    opened = waits[CIRCUIT_FAILURES - 1 :]
    assert opened[:4] == [1, 2, 4, 8]
    assert max(opened) == CIRCUIT_LONGEST
    assert circuit_after(failures, True, 0) == circuit_after(0, True, 1)
