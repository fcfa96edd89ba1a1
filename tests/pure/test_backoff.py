"""Backoff: the wait after each attempt, whatever the policy does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pillars.backoff import CAP, check, delay
from pillars.errors import DefinitionError

SECOND = timedelta(seconds=1)


@given(st.integers(min_value=1, max_value=10**9))
def test_the_default_doubles_with_jitter_and_stops_at_an_hour(attempt: int) -> None:
    full = min(2 ** min(attempt, 30) * SECOND, CAP)
    assert full / 2 <= delay(None, attempt) <= full


def test_the_default_is_jittered() -> None:
    assert len({delay(None, 5) for _ in range(20)}) > 1


@pytest.mark.parametrize("attempt", [-(10**9), 0, 1])
def test_before_the_first_attempt_counts_as_the_first(attempt: int) -> None:
    assert SECOND <= delay(None, attempt) <= 2 * SECOND
    assert delay([1, 2], attempt) == SECOND


POLICIES: dict[str, tuple[Any, list[float]]] = {
    "seconds are constant": (5, [5, 5, 5, 5]),
    "words are constant": ("1m", [60, 60, 60, 60]),
    "a timedelta is constant": (SECOND, [1, 1, 1, 1]),
    "zero is at once": (0, [0, 0, 0, 0]),
    "a list is per attempt, the last repeats": ([1, "2s", 3 * SECOND], [1, 2, 3, 3]),
    "a tuple too": ((7,), [7, 7, 7, 7]),
    "a function of the attempt": (lambda attempt: attempt * 10, [10, 20, 30, 40]),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_is_followed_without_jitter(case: str) -> None:
    policy, expected = POLICIES[case]
    check(policy)
    assert [delay(policy, attempt).total_seconds() for attempt in (1, 2, 3, 4)] == expected
    assert delay([1, 2], 10**9) == 2 * SECOND


def test_no_policy_is_the_default() -> None:
    check(None)


def _raises(_attempt: int) -> float:
    raise ZeroDivisionError


async def _coroutine(_attempt: int) -> float:
    raise AssertionError


BROKEN: dict[str, Callable[..., Any]] = {
    "raises": _raises,
    "gives a text": lambda _: "soon",
    "gives nothing": lambda _: None,
    "gives NaN": lambda _: float("nan"),
    "gives less than nothing": lambda _: -1,
    "gives forever": lambda _: 10**30,
    "takes no attempt": lambda: 1,
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_function_gives_the_default_and_tells(case: str) -> None:
    told: list[Exception] = []
    assert SECOND <= delay(BROKEN[case], 1, trouble=told.append) <= 2 * SECOND
    assert len(told) == 1
    assert SECOND <= delay(BROKEN[case], 1) <= 2 * SECOND


def test_a_list_that_was_emptied_since_gives_the_default() -> None:
    assert SECOND <= delay([], 1) <= 2 * SECOND


REFUSED: dict[str, tuple[Any, str]] = {
    "an empty list": ([], "at least one duration"),
    "a wrong text": ("soon", 'got "soon"'),
    "a wrong item": ([1, "soon"], r"mail: backoff\[1\]"),
    "an async function": (_coroutine, "async"),
    "bytes": (b"5", "got bytes"),
    "an object": (object(), "got object"),
    "a bool": (True, "got True"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_policy_that_cannot_be_followed_is_refused_at_boot(case: str) -> None:
    policy, message = REFUSED[case]
    with pytest.raises(DefinitionError, match=r"^mail: backoff") as refusal:
        check(policy, what="mail: backoff")
    refusal.match(message)
