"""Which moments are ticks: an oracle that looks at every minute of the wall, and tables of the nights on which clocks change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings, strategies as st

from pillars.schedules.reading import read
from pillars.schedules.rules import MOST_COUNTED, START, Crontab, Interval

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

# Zone, a moment shortly before a change of its clock: hours, half an hour, at midnight, a whole day, both ways.
CHANGES = [
    ("America/New_York", "2026-03-07T20:00Z"),
    ("America/New_York", "2026-10-31T20:00Z"),
    ("Europe/Berlin", "2026-03-28T15:00Z"),
    ("Europe/Berlin", "2026-10-24T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T05:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T05:00Z"),
    ("America/Sao_Paulo", "2018-11-03T18:00Z"),
    ("America/Sao_Paulo", "2019-02-16T15:00Z"),
    ("Africa/Casablanca", "2026-02-14T18:00Z"),
    ("Africa/Casablanca", "2026-03-21T18:00Z"),
    ("Pacific/Apia", "2011-12-29T18:00Z"),
    ("Pacific/Kiritimati", "2026-05-01T00:00Z"),
    ("Asia/Kathmandu", "2026-05-01T00:00Z"),
    ("UTC", "2026-05-01T00:00Z"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@cache
def allowed(field: str, lowest: int, highest: int) -> set[int]:
    """An own reading of the plainest fields: numbers, lists, ranges, stars, steps of a star or a range."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{lowest}-{highest}" if span == "*" else span).partition("-")
        values |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return values


def shown(expression: str, wall: datetime) -> bool:
    minute, hour, day, month, weekday = expression.split()
    on_day = wall.day in allowed(day, 1, 31)
    on_weekday = wall.isoweekday() % 7 in {number % 7 for number in allowed(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")
    return (
        wall.minute in allowed(minute, 0, 59)
        and wall.hour in allowed(hour, 0, 23)
        and wall.month in allowed(month, 1, 12)
        and (on_day and on_weekday if both else on_day or on_weekday)
    )


def oracle(expression: str, name: str, start: datetime, end: datetime) -> list[datetime]:
    """Every tick after `start` and before `end`, by looking at each minute."""
    zone = ZoneInfo(name)
    minute, hour, *_ = expression.split()
    if minute.startswith("*") or hour.startswith("*"):
        first = start.replace(second=0, microsecond=0)
        moments = [first + count * MINUTE for count in range((end - first) // MINUTE + 1)]
        found = {moment for moment in moments if shown(expression, moment.astimezone(zone))}
    else:
        found = set(each_wall_time_once(expression, zone, start, end))
    return sorted(moment for moment in found if start < moment < end)


def each_wall_time_once(
    expression: str, zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[datetime]:
    wall = (start - timedelta(days=2)).replace(tzinfo=None, second=0, microsecond=0)
    while wall < (end + timedelta(days=2)).replace(tzinfo=None):
        if shown(expression, wall):
            moment = wall.replace(tzinfo=zone).astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) != wall:  # jumped over: the jump itself
                moment = min(
                    after
                    for count in range(-25 * 60, 25 * 60)
                    if (after := moment + count * MINUTE).astimezone(zone).replace(tzinfo=None)
                    > wall
                    and (after - MINUTE).astimezone(zone).replace(tzinfo=None) < wall
                )
            yield moment
        wall += MINUTE


def between(rule: Crontab, start: datetime, end: datetime) -> list[datetime]:
    found = []
    for tick in rule.ticks(start):
        if tick >= end:
            break
        found.append(tick)
    return found


@pytest.mark.parametrize(("zone", "start"), CHANGES)
@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/15 * * * *",
        "*/7 1-3 * * *",
        "* 2 * * *",
        "5 */2 * * *",
        "0 * * * *",
        "30 2 * * *",
        "0,15,30,45 1,2 * * *",
        "0 0 * * *",
        "59 23 * * *",
        "45 1 * * 0",
        "10 0-3 * * *",
        "0 12 * * *",
        "*/20 0 * * *",
    ],
)
def test_every_tick_around_a_change_of_clocks_is_the_oracles(
    zone: str, start: str, expression: str
) -> None:
    begin = at(start)
    end = begin + timedelta(days=2)
    assert between(read(expression, zone), begin, end) == oracle(expression, zone, begin, end)


NIGHTS = [
    # Fixed hour and minute: jumped over, it runs once at the jump.
    ("30 2 * * *", "America/New_York", "2026-03-08T00:00-05:00", ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]),
    ("0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:00+01:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04T00:00+10:30", ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"]),
    ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00-03:00", ["2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"]),
    ("0 6,12 * * *", "Pacific/Apia", "2011-12-29T13:00-10:00", ["2011-12-31T00:00+14:00", "2011-12-31T06:00+14:00"]),
    # Fixed, and its time comes twice: the first time.
    ("30 1 * * *", "America/New_York", "2026-11-01T00:00-04:00", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00+02:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05T00:00+11:00", ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
    # ... also when asked between the two, where cronsim alone would answer with the past.
    ("45 1 * * *", "America/New_York", "2026-11-01T01:30-05:00", ["2026-11-02T01:45-05:00"]),
    # A star in minute or hour: real time.
    ("30 * * * *", "America/New_York", "2026-11-01T00:40-04:00", ["2026-11-01T01:30-04:00", "2026-11-01T01:30-05:00", "2026-11-01T02:30-05:00"]),
    ("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:10+01:00", ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]),
    ("*/30 2 * * *", "America/New_York", "2026-03-08T00:00-05:00", ["2026-03-09T02:00-04:00"]),
    ("* 2 * * *", "Australia/Lord_Howe", "2026-04-05T01:40+10:30", ["2026-04-05T02:00+10:30", "2026-04-05T02:01+10:30"]),
    ("0 9 * * MON#2", "Pacific/Kiritimati", "2026-05-01T00:00+14:00", ["2026-05-11T09:00+14:00", "2026-06-08T09:00+14:00"]),
    ("0 0 L * *", "Asia/Kathmandu", "2028-02-01T00:00+05:45", ["2028-02-29T00:00+05:45"]),
    ("0 0 29 2 *", "UTC", "2096-03-01T00:00+00:00", ["2104-02-29T00:00+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "moment", "ticks"), NIGHTS)
def test_nights_on_which_clocks_change(
    expression: str, zone: str, moment: str, ticks: list[str]
) -> None:
    found = list(islice(read(expression, zone).ticks(at(moment)), len(ticks)))
    assert found == [at(tick) for tick in ticks]


def test_ticks_are_aware_and_in_utc() -> None:
    for rule in (
        read("0 3 * * *", "Europe/Berlin"),
        read("* * * * *", "Asia/Tokyo"),
        Interval(SECOND),
    ):
        tick = rule.after(datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/Berlin")))
        assert tick is not None
        assert tick.tzinfo is UTC


FIELD = st.one_of(st.just("*"), st.integers(2, 12).map(lambda step: f"*/{step}"))
MINUTES = st.one_of(
    FIELD, st.lists(st.integers(0, 59), min_size=1, max_size=3).map(lambda v: ",".join(map(str, v)))
)
HOURS = st.one_of(
    FIELD, st.lists(st.integers(0, 23), min_size=1, max_size=3).map(lambda v: ",".join(map(str, v)))
)
DAYS = st.one_of(st.just("*"), st.integers(1, 28).map(str), st.just("*/2"))
WEEKDAYS = st.one_of(st.just("*"), st.integers(0, 7).map(str), st.just("1-5"))
EXPRESSIONS = st.tuples(MINUTES, HOURS, DAYS, st.just("*"), WEEKDAYS).map(" ".join)
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ZONES = st.sampled_from(
    sorted({zone for zone, _ in CHANGES} | {"Europe/London", "America/St_Johns", "Asia/Tehran"})
)


@settings(deadline=None, max_examples=60)
@given(EXPRESSIONS, st.sampled_from(CHANGES), st.integers(0, 48 * 3600))
def test_any_rule_near_a_change_of_clocks_is_the_oracles(
    expression: str, change: tuple[str, str], seconds: int
) -> None:
    zone, start = change
    begin = at(start) + seconds * SECOND
    end = begin + timedelta(days=1)
    assert between(read(expression, zone), begin, end) == oracle(expression, zone, begin, end)


@settings(deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_ticks_ascend_strictly_from_any_moment(
    expression: str, zone: str, moment: datetime
) -> None:
    ticks = list(islice(read(expression, zone).ticks(moment), 20))
    assert [moment, *ticks] == sorted({moment, *ticks})


@settings(deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_walking_from_each_tick_to_the_next_loses_none(
    expression: str, zone: str, moment: datetime
) -> None:
    rule = read(expression, zone)
    walked, here = [], moment
    for _ in range(10):
        tick = rule.after(here)
        assert tick is not None
        walked.append(tick)
        here = tick
    assert walked == list(islice(rule.ticks(moment), 10))


@settings(deadline=None)
@given(
    EXPRESSIONS,
    st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kathmandu", "UTC"]),
    MOMENTS,
)
def test_far_from_the_second_of_two_hours_cronsim_says_the_same(
    expression: str, zone: str, moment: datetime
) -> None:
    tick = read(expression, zone).after(moment)
    simulated = next(CronSim(expression, moment.astimezone(ZoneInfo(zone)))).astimezone(UTC)
    assume(simulated > moment)  # it answers with the past between the two hours of a wall's time
    assert tick == simulated


@settings(deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS, st.integers(0, 5 * 24 * 60), st.integers(1, 5))
def test_the_last_ticks_are_the_end_of_all_of_them(
    expression: str, zone: str, since: datetime, minutes: int, limit: int
) -> None:
    rule = read(expression, zone)
    until = since + minutes * MINUTE
    every_one = between(rule, since - timedelta(microseconds=1), until + timedelta(microseconds=1))
    assert rule.last(since, until, limit) == every_one[-limit:]


@given(
    st.timedeltas(SECOND, timedelta(days=400)),
    MOMENTS,
    st.timedeltas(timedelta(0), timedelta(days=3)),
    st.integers(1, 5),
)
def test_an_interval_ticks_at_multiples_since_2000(
    every: timedelta, since: datetime, span: timedelta, limit: int
) -> None:
    rule, until = Interval(every), since + span
    tick = rule.after(since)
    assert (tick - START) % every == timedelta(0)
    assert since < tick <= since + every
    first = -((START - since) // every)
    ticks = [
        START + number * every
        for number in range(first, first + 6)
        if START + number * every <= until
    ]
    if len(ticks) < 6:
        assert rule.last(since, until, limit) == ticks[-limit:]
        assert rule.count(since, until + timedelta(microseconds=1)) == len(ticks)


def test_a_year_of_missed_seconds_is_counted_at_once() -> None:
    rule = Interval(SECOND)
    since, until = at("2025-01-01T00:00Z"), at("2026-01-01T00:00:00.5Z")
    assert rule.last(since, until, 1) == [at("2026-01-01T00:00Z")]
    assert rule.count(since, at("2026-01-01T00:00Z")) == 365 * 86400
    assert len(rule.last(since, until, 100)) == 100


def test_a_year_of_missed_minutes_of_a_crontab_is_counted_to_a_thousand() -> None:
    rule = read("* * * * *", "Europe/Berlin")
    since, until = at("2025-01-01T00:00Z"), at("2026-01-01T00:00:30Z")
    assert rule.last(since, until, 1) == [at("2026-01-01T00:00Z")]
    assert rule.last(since, until, 100)[0] == at("2025-12-31T22:21Z")
    assert rule.count(since, until) == MOST_COUNTED
    assert rule.count(until - timedelta(minutes=5), until) == 5


def test_a_rule_of_one_burst_a_year_finds_its_last_tick() -> None:
    rule = read("* * 1 1 *", "Asia/Tokyo")
    assert rule.last(at("2020-01-01T00:00Z"), at("2026-11-01T00:00Z"), 1) == [
        at("2026-01-01T14:59Z")
    ]
