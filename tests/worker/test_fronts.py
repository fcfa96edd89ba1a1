"""Where a kind's next claim starts."""

from datetime import UTC, datetime, timedelta

from pillars.store.rows import Lane
from pillars.worker.fronts import Front

LANES = [Lane("default", 0)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK, SLOW = timedelta(0), timedelta(seconds=10)


def in_a_streak(took: timedelta) -> Front:
    front = Front()
    front.places.pass_over(LANES, NOW)
    front.looked(took)
    return front


def test_a_claim_that_knows_no_place_starts_at_the_front() -> None:
    front = Front()
    assert front.is_due()
    front.looked(SLOW)
    assert front.is_due(), "there is nowhere else to start"


def test_in_a_streak_the_next_claim_starts_behind_the_last() -> None:
    assert not in_a_streak(QUICK).is_due()


def test_a_wake_up_in_a_streak_has_the_front_looked_at() -> None:
    front = in_a_streak(QUICK)
    front.wake()
    assert front.is_due()
    front.looked(QUICK)
    assert not front.is_due(), "once"


def test_a_dear_front_rests_also_after_wake_ups_and_for_five_seconds_at_most() -> None:
    front = in_a_streak(SLOW)
    front.wake()
    assert not front.is_due()
    assert front.dear
    assert timedelta(seconds=4.5) < front.rests_for <= timedelta(seconds=5)


def test_a_cheap_front_is_not_remembered_beyond_its_streak() -> None:
    assert not in_a_streak(timedelta(milliseconds=2)).dear
    assert in_a_streak(timedelta(milliseconds=20)).dear
