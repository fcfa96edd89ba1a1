"""Durations: what is read, what is refused, and that words are read back."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pillars.durations import LONGEST, duration, words
from pillars.errors import UsageError

READ = {
    "250ms": timedelta(milliseconds=250),
    "90s": timedelta(seconds=90),
    "5m": timedelta(minutes=5),
    "2h": timedelta(hours=2),
    "1d": timedelta(days=1),
    "1h30m": timedelta(hours=1, minutes=30),
    "1d2h3m4s5ms": timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5),
    " 1h 30m ": timedelta(hours=1, minutes=30),
    "1.5h": timedelta(minutes=90),
    "0s": timedelta(0),
    "30": timedelta(seconds=30),
    "0.5": timedelta(milliseconds=500),
}


@pytest.mark.parametrize("text", READ)
def test_words_are_read(text: str) -> None:
    assert duration(text) == READ[text]


@pytest.mark.parametrize("value", [timedelta(seconds=3), 3, 3.0, "3s", "3"])
def test_a_timedelta_seconds_and_words_mean_the_same(value: timedelta | float | str) -> None:
    assert duration(value) == timedelta(seconds=3)


REFUSED: dict[str, tuple[Any, str]] = {
    "no unit known": ("5 parsecs", '"5 parsecs"'),
    "nothing": ("", '""'),
    "a blank": (" ", '" "'),
    "units in disorder": ("30m1h", '"30m1h"'),
    "a unit twice": ("1h1h", '"1h1h"'),
    "a sign": ("-5s", '"-5s"'),
    "none": ("none", '"none"'),
    "foreign digits": ("٣s", r'"\u0663s"'),
    "a long text": ("x" * 1000, "…"),
    "a bool": (True, "True"),
    "NaN": (float("nan"), "nan"),
    "infinity": (float("inf"), "inf"),
    "negative seconds": (-1, "-1"),
    "a negative timedelta": (timedelta(seconds=-1), "-1s"),
    "too many digits": ("9" * 5000 + "s", "…"),
    "more than the longest": ("3651d", "3651d"),
    "days that no timedelta holds": ("999999999999999d", "999999999999999d"),
    "an int that no float holds": (10**400, "int"),
    "None": (None, "NoneType"),
    "bytes": (b"5s", "bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_duration_is_refused_by_name(case: str) -> None:
    value, got = REFUSED[case]
    with pytest.raises(UsageError) as refusal:
        duration(value, what="timeout")
    message = str(refusal.value)
    assert message.startswith("timeout: expected ")
    assert got in message
    assert "\n" not in message


def test_the_grammar_is_in_the_message() -> None:
    with pytest.raises(UsageError, match='"250ms", "90s", "5m", "2h", "1d", "1h30m"'):
        duration("5 parsecs")


def test_a_value_that_will_not_be_shown_is_named_by_its_type() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError

        __str__ = __repr__

    with pytest.raises(UsageError, match="got Hostile"):
        duration(Hostile())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(seconds=1.25), "1.25s"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(days=7), "7d"),
        (timedelta(seconds=59.9996), "1m"),
        (timedelta(seconds=-90), "-1m30s"),
        (timedelta(microseconds=-300), "0s"),
    ],
)
def test_words_are_short(value: timedelta, said: str) -> None:
    assert words(value) == said


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_words_are_read_back_to_the_millisecond(value: timedelta) -> None:
    assert abs(duration(words(value)) - value) <= timedelta(microseconds=500)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.timedeltas()))
def test_anything_is_a_duration_or_a_usage_error(value: str | float | timedelta) -> None:
    with suppress(UsageError):
        assert timedelta(0) <= duration(value) <= LONGEST
