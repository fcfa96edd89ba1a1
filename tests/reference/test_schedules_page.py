"""docs/reference/schedules.md and the code say the same; its ticks are computed."""

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import asyncpg
import pytest

from docs_pages import REFERENCE, blocks, code, section, table
from pillars import Schedule, crontab, every, job
from pillars.cron.syncing import sync
from pillars.cron.ticker import KEEP_TICKS
from pillars.durations import LONGEST, words
from pillars.errors import DefinitionError
from pillars.schedules import making
from pillars.schedules.deciding import MOST_CAUGHT_UP, ON_TIME, decide
from pillars.schedules.reading import FIELDS, MACROS, read
from pillars.schedules.rules import MOST_COUNTED, START
from pillars.schedules.value import Catchup, Overlap
from pillars.store.database import Database
from pillars.store.rows import Due
from support import ask, asking

PAGE = (REFERENCE / "schedules.md").read_text("utf-8")
OPTIONS = table(section(PAGE, "Options"), "parameter")


@job
async def ping() -> None: ...


@pytest.mark.parametrize("function", [every, crontab], ids=lambda one: one.__name__)
def test_parameters_and_defaults_are_those_of_the_code(function: Callable[..., Any]) -> None:
    own = table(section(PAGE, function.__name__), "parameter")
    meant = [
        [one.name] if one.default is one.empty else [one.name, repr(one.default)]
        for one in inspect.signature(function).parameters.values()
    ]
    assert [code(cells[0]) + code(cells[1]) for cells in [*own, *OPTIONS]] == meant
    assert "`DefinitionError`" in (inspect.getdoc(function) or "")


@pytest.mark.parametrize(("option", "choices"), [("catchup", Catchup), ("overlap", Overlap)])
def test_the_choices_of_an_option_are_all_told(option: str, choices: Any) -> None:
    [said] = [cells[2] for cells in OPTIONS if code(cells[0]) == [option]]
    heading = {"catchup": "Catching up", "overlap": "Overlap"}[option]
    told = re.findall(r"^- `(\w+)`:", section(PAGE, heading), re.MULTILINE)
    assert tuple(code(said)) == tuple(told) == get_args(choices)


def test_every_member_of_a_schedule_is_told() -> None:
    slots = {name for name in Schedule.__slots__ if not name.startswith("_")}
    members = {name for name in vars(Schedule) if not name.startswith("_")} | slots
    text = section(PAGE, "Schedule")
    told = {code(cells[0])[0] for cells in table(text, "member")}
    [others] = re.findall(r"^(.*) are the runtime's own", text, re.MULTILINE)
    assert told | {one.partition("(")[0] for one in code(others)} == members


# --- rules --------------------------------------------------------------------------------------------------


def test_the_fields_and_macros_are_those_that_are_read() -> None:
    assert [tuple(cells) for cells in table(PAGE, "field")] == list(FIELDS)
    [macros] = re.findall(r"Macros:\s(.*?)\.\n", PAGE, re.DOTALL)
    assert code(macros) == list(MACROS)


def test_the_bounds_of_an_interval_are_told() -> None:
    least, most = making.LEAST_INTERVAL.total_seconds(), words(LONGEST).removesuffix("d")
    assert f"{least:g} s to {most} days" in section(PAGE, "every")
    assert f"since {START:%Y-%m-%d} UTC" in section(PAGE, "every")


@pytest.mark.parametrize(
    "cells",
    table(section(PAGE, "crontab").partition("\n### ")[0], "expression"),
    ids=lambda cells: cells[0],
)
def test_an_expression_ticks_as_it_is_shown(cells: list[str]) -> None:
    moment = datetime(2026, 11, 21, 9, tzinfo=UTC)
    rule = read(code(cells[0])[0], "UTC")
    for shown in code(cells[1]):
        found = rule.after(moment)
        assert found is not None
        assert f"{found:%Y-%m-%d %H:%M}" == shown
        moment = found


NIGHTS = ("2026-03-29", "2026-10-25")


@pytest.mark.parametrize("night", [0, 1], ids=NIGHTS)
@pytest.mark.parametrize(
    "cells", table(section(PAGE, "When clocks change"), "expression"), ids=lambda cells: cells[0]
)
def test_the_nights_on_which_clocks_change_tick_as_they_are_shown(
    cells: list[str], night: int
) -> None:
    rule = read(code(cells[0])[0], "Europe/Berlin")
    midnight = datetime.fromisoformat(f"{NIGHTS[night]}T00:00+00:00")
    ticks = rule.last(midnight, midnight + timedelta(hours=2, minutes=59), 100)
    assert [f"{tick:%H:%M}" for tick in ticks] == code(cells[1 + night])


@pytest.mark.parametrize("night", NIGHTS)
def test_the_nights_are_those_on_which_the_clocks_of_berlin_change(night: str) -> None:
    zone = read("@daily", "Europe/Berlin")._zone
    change = datetime.fromisoformat(f"{night}T01:00+00:00")
    before, after = change - timedelta(seconds=1), change
    [heading] = re.findall(rf"{night}: at 01:00 UTC (\d\d:\d\d) becomes (\d\d:\d\d)", PAGE)
    shown = (before + timedelta(seconds=1)).astimezone(zone).utcoffset()
    earlier = before.astimezone(zone).utcoffset()
    assert shown != earlier
    assert earlier is not None
    assert heading == (f"{change + earlier:%H:%M}", f"{after.astimezone(zone):%H:%M}")


def test_a_rule_that_never_comes_is_refused() -> None:
    assert "`0 0 31 2 *`" in PAGE
    with pytest.raises(DefinitionError, match="never comes"):
        crontab("0 0 31 2 *", ping)


# --- what becomes of ticks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", table(section(PAGE, "Catching up"), "options"), ids=" ".join)
def test_ticks_of_an_outage_are_decided_as_they_are_shown(cells: list[str]) -> None:
    options, back, made, refused, covered = cells
    given = eval(f"dict({''.join(code(options))})")
    schedule = every("10m", ping, name="shown", **given)
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    hours, minutes = map(int, back.split(":"))
    now = midnight + timedelta(hours=hours, minutes=minutes)
    row = schedule.row(midnight)
    enqueued: list[str] = []
    late: list[str] = []
    missed = 0
    next_run_at = row.next_run_at
    while next_run_at is not None and next_run_at <= now:
        due = Due(row.name, row.every, None, "UTC", schedule.catchup, schedule.window, next_run_at)
        decision = decide(due, now)
        assert decision.tick is not None
        (late if decision.late else enqueued).append(f"{decision.tick:%H:%M}")
        missed += decision.missed
        next_run_at = decision.next_run_at
    assert (enqueued, late, str(missed)) == (code(made), code(refused), covered)


def test_the_numbers_of_catching_up_are_those_of_the_code() -> None:
    said = section(PAGE, "Catching up")
    assert f"the last {MOST_CAUGHT_UP} at most" in said
    assert timedelta(minutes=1) == ON_TIME
    assert "over a minute late" in said
    assert f"of a crontab to {MOST_COUNTED}" in section(PAGE, "Ticks")
    assert f"for {KEEP_TICKS.days} days" in section(PAGE, "Ticks")


async def test_the_columns_and_outcomes_of_ticks_are_those_of_the_table(db: str) -> None:
    text = section(PAGE, "Ticks")
    async with asking(db) as connection:
        columns = await connection.fetch(
            "select attname from pg_attribute where attrelid = 'pillars.ticks'::regclass and attnum > 0 order by attnum"
        )
    [said] = re.findall(r"30 days: (.*?)\.\n", text)
    assert code(said) == [column["attname"] for column in columns]
    check = await ask(
        db, "select pg_get_constraintdef(oid) from pg_constraint where conname = 'ticks_outcome'"
    )
    assert [code(cells[0])[0] for cells in table(text, "outcome")] == re.findall(r"'(\w+)'", check)


async def test_the_example_is_two_schedules_that_can_be_synced(db: str, database: Database) -> None:
    [example] = blocks(PAGE, "python")
    names: dict[str, Any] = {"__name__": "crons.reports"}
    exec(example, names)
    found = [
        value.named(f"crons.reports.{name}")
        for name, value in names.items()
        if isinstance(value, Schedule)
    ]
    await sync(database, found, deployment="shop")
    assert await ask(db, "select array_agg(name order by name) from pillars.schedules") == [
        "crons.reports.nightly",
        "crons.reports.pulse",
    ]


async def test_a_name_of_another_deployment_is_refused(database: Database) -> None:
    schedule = every("1h", ping, name="shared")
    await sync(database, [schedule], deployment="shop")
    with pytest.raises(DefinitionError, match="belongs to another deployment"):
        await sync(database, [schedule], deployment="other")


async def test_two_rows_of_one_tick_cannot_be(db: str) -> None:
    insert = "insert into pillars.ticks (schedule, tick, outcome) values ('s', now(), 'late'), ('s', now(), 'late')"
    with pytest.raises(asyncpg.UniqueViolationError):
        await ask(db, insert)
