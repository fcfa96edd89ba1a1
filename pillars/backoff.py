"""The wait between two attempts of a job."""

import inspect
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from pillars.durations import Duration, duration
from pillars.errors import DefinitionError, UsageError

__all__ = ["CAP", "Backoff", "check", "delay"]

Backoff: TypeAlias = Duration | Sequence[Duration] | Callable[[int], Duration] | None
"""A duration: always that. A list: one per attempt, the last repeats. A function of the attempt. None: the default."""

CAP = timedelta(hours=1)  # an outage of a day is tried hourly, not once a week later
_CAPPED_FROM = 12  # 2**12 s is past the cap: no larger power is ever computed
_LEAST_JITTER = 0.5  # spreads a burst of failures, yet never retries at once


def check(policy: Backoff, *, what: str = "backoff") -> None:
    """Refuse, at boot, what `delay` could not follow: DefinitionError names `what`."""
    if policy is None:
        return
    if inspect.iscoroutinefunction(policy):
        raise DefinitionError(f"{what}: expected a plain function of the attempt, got an async one")
    if callable(policy):
        return
    if isinstance(policy, (str, timedelta, int, float)):
        _checked(policy, what)
    elif isinstance(policy, Sequence) and not isinstance(policy, (bytes, bytearray, memoryview)):
        if not policy:
            raise DefinitionError(f"{what}: expected at least one duration, got an empty list")
        for index, item in enumerate(policy):
            _checked(item, f"{what}[{index}]")
    else:
        kinds = "a duration, a list of durations or a function of the attempt"
        raise DefinitionError(f"{what}: expected {kinds}, got {type(policy).__name__}")


def delay(
    policy: Backoff,
    attempt: int,
    *,
    trouble: Callable[[Exception], None] | None = None,
) -> timedelta:
    """How long to wait after this attempt, counted from 1, has failed.

    Always an answer: a policy that raises, or gives what is no duration, is told to `trouble`, and the
    default takes its place.
    """
    if policy is not None:
        try:
            return _of(policy, max(attempt, 1))
        except Exception as error:  # noqa: BLE001 - a user's function must not keep a job from failing
            if trouble is not None:
                trouble(error)
    return _default(max(attempt, 1))


def _of(policy: Backoff, attempt: int) -> timedelta:
    chosen: object = policy
    if callable(policy):
        chosen = policy(attempt)
    elif isinstance(policy, Sequence) and not isinstance(policy, str):
        chosen = policy[min(attempt, len(policy)) - 1]
    return duration(chosen, what="backoff")  # type: ignore[arg-type] # duration refuses the rest


def _default(attempt: int) -> timedelta:
    """2**attempt seconds, jittered down to at worst half, at most an hour."""
    full = CAP if attempt >= _CAPPED_FROM else timedelta(seconds=2**attempt)
    return full * random.uniform(_LEAST_JITTER, 1)  # noqa: S311 - not a secret


def _checked(value: Duration, what: str) -> None:
    try:
        duration(value, what=what)
    except UsageError as error:
        raise DefinitionError(str(error)) from None
