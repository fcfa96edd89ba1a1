"""What `every` and `crontab` refuse, in one line that says what, what was got, and what to do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pillars import crontab, every, job
from pillars.errors import DefinitionError
from pillars.schedules.reading import MACROS


@job
async def ping() -> None: ...


@job
async def send(to: str, copies: int = 1) -> None: ...


@job(unique_key="one")
async def alone(steps: int = 3) -> None: ...


untyped_every: Any = every  # a type checker refuses most of what follows, too
untyped_crontab: Any = crontab

BAD_EXPRESSIONS = [
    (
        "* * * *",
        "expected 5 fields (minute, hour, day of the month, month, day of the week), got 4",
    ),
    ("", "got 0"),
    ("0 0 3 * * *", 'got 6; seconds are for every("10s", ...)'),
    ("0 0 3 * * * *", 'got 7; seconds are for every("10s", ...)'),
    (
        "61 * * * *",
        'field 1 (minute): expected 0 to 59, a list 1,2, a range 1-5, * or a step */5, got "61"',
    ),
    ("0 24 * * *", "field 2 (hour): expected 0 to 23"),
    ("0 0 0 * *", "field 3 (day of the month): expected 1 to 31"),
    ("0 0 * FOO *", "field 4 (month): expected 1 to 12, JAN to DEC"),
    ("0 0 * * 8", "field 5 (day of the week): expected 0 to 7"),
    (
        "*/0 * * * *",
        'field 1 (minute): expected 0 to 59, a list 1,2, a range 1-5, * or a step */5, got "*/0"',
    ),
    ("5-1 * * * *", 'got "5-1"'),
    ("0 0 * * 5L/2", "field 5"),
    ("\u0661 * * * *", 'got "\\u0661"'),
    ("0 0 31 2 *", "never comes"),
    ("0 0 30 FEB *", "never comes"),
    ("0 0 31 4,6,9,11 *", "never comes"),
    ("@fortnightly", "@hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"),
    ("1" * 5000, "at most 200 characters, got 5000"),
]


@pytest.mark.parametrize(("expression", "said"), BAD_EXPRESSIONS)
def test_a_bad_expression_is_refused_by_its_field(expression: str, said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        crontab(expression, ping)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tz", "said"),
    [
        ("Mars/Base", 'tz: no time zone "Mars/Base"; the nearest are '),
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("../../etc/passwd", "the nearest are"),
        ("localtime", "the nearest are"),
        ("right/UTC", "Etc/UTC"),
        ("a\0b", 'no time zone "a\\x00b"'),
        ("Europe", "the nearest are"),
        ("", "the nearest are"),
        (7, "tz: expected text"),
    ],
)
def test_a_bad_zone_is_refused_with_the_nearest_names(tz: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        crontab("0 3 * * *", ping, tz=tz)
    assert said in str(refused.value)


@pytest.mark.parametrize("tz", ["EST5EDT", "US/Pacific", "Europe/Berlin", "Etc/UTC"])
def test_alias_zones_are_taken(tz: str) -> None:
    assert crontab("0 3 * * *", ping, tz=tz).rule.after(datetime.now(UTC))


@pytest.mark.parametrize("macro", MACROS)
def test_a_macro_is_its_expression(macro: str) -> None:
    assert crontab(macro, ping).rule == crontab(MACROS[macro], ping).rule
    assert crontab(f" {macro.upper()} ", ping).rule == crontab(MACROS[macro], ping).rule


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: untyped_every("100ms", ping), "every: expected 1s to 3650d, got 100ms"),
        (lambda: untyped_every(0, ping), "got 0s"),
        (lambda: untyped_every("soon", ping), 'every: expected seconds, a timedelta, or words such as "250ms"'),
        (lambda: untyped_every("1s", send), "test_rules_refused.send: it needs arguments: write send.call(...)"),
        (lambda: untyped_every("1s", send.configure(queue="mail")), "write .call() after configure(...)"),
        (lambda: untyped_every("1s", send.configure(run_in=5).call("a")), "leave run_in out of configure(...)"),
        (lambda: untyped_every("1s", ping.configure(run_at=datetime.now(UTC)).call()), "leave run_at out"),
        (lambda: untyped_every("1s", ping.configure(connection=object()).call()), "leave connection out"),
        (lambda: untyped_every("1s", print), "expected a job or job.call(...), got builtin_function_or_method; decorate it with @job"),
        (lambda: untyped_every("1s", 3), "expected a job or job.call(...), got int"),
        (lambda: untyped_every("1s", ping, catchup="last"), "catchup: expected one of latest, all, skip, got 'last'"),
        (lambda: untyped_every("1s", ping, overlap="never"), "overlap: expected one of skip, queue, allow, got 'never'"),
        (lambda: untyped_every("1s", ping, paused=1), "paused: expected True or False, got int"),
        (lambda: untyped_every("1s", ping, window=-1), "window: expected"),
        (lambda: untyped_every("1s", ping, jitter="x"), "jitter: expected"),
        (lambda: untyped_every("1s", ping, name="a b"), "schedule name: expected 1 to 100 of"),
        (lambda: untyped_crontab(5, ping), 'crontab: expected text such as "0 3 * * *", got int'),
    ],
)  # fmt: skip
def test_what_a_schedule_cannot_do_is_refused(make: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        make()
    assert said in str(refused.value)


def test_a_job_whose_arguments_all_have_defaults_needs_none() -> None:
    assert every("1s", alone.call()).call.payload == "{}"


def test_the_row_carries_what_the_call_was_told() -> None:
    call = send.configure(queue="mail", priority=3, timeout=None, tags=["a"], context="why").call(
        "x"
    )
    row = (
        every("90s", call, jitter="10s", overlap="queue", window="1h")
        .named("crons.x")
        .row(datetime(2026, 1, 1, tzinfo=UTC))
    )
    assert (row.name, row.queue, row.priority, row.payload) == ("crons.x", "mail", 3, '{"to":"x"}')
    assert (row.timeout, row.tags, row.context) == (timedelta(0), ["a"], "why")
    assert (row.every, row.crontab, row.timezone) == (timedelta(seconds=90), None, "UTC")
    assert (row.jitter, row.overlap, row.catchup_window) == (
        timedelta(seconds=10),
        "queue",
        timedelta(hours=1),
    )
    assert row.next_run_at == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_a_unique_key_of_the_job_is_the_schedules() -> None:
    assert every("1s", alone.call(2)).row(datetime(2026, 1, 1, tzinfo=UTC)).unique_key == "one"


def test_schedules_are_values() -> None:
    assert every("30s", ping) == every(30, ping)
    assert every("30s", ping).named("a") != every("30s", ping).named("b")
