"""docs/reference/log-events.md and the calls that log say the same."""

import re
from collections import Counter
from datetime import timedelta
from functools import cache, reduce
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import structlog

from docs_pages import REFERENCE, code, table
from log_calls import Logged, arguments_of, calls
from pillars import log
from pillars.codec import from_json
from pillars.log import Event
from pillars.service import telling
from pillars.service.pruning import _tell as tell_pruned
from pillars.service.tally import Tally
from pillars.store.rows import Swept
from pillars.worker import outcomes
from pillars.worker.finishing import EVENTS, Settling, _record, _tell as tell_ended

PAGE = (REFERENCE / "log-events.md").read_text("utf-8")
KEY = re.compile(r"(\*)?`(\w+)`\*?")
ROWS = {code(cells[0])[0]: cells[1:] for cells in table(PAGE, "event")}
SECOND = timedelta(seconds=1)
OUTCOMES = (
    outcomes.Completed(None),
    outcomes.Failed("it broke"),
    outcomes.Failed("it broke", "Traceback"),
    outcomes.Retried(SECOND, "it broke"),
    outcomes.Retried(SECOND, "it broke", "Traceback"),
    outcomes.Snoozed(SECOND, "later"),
    outcomes.Cancelled(),
    outcomes.Released(),
    outcomes.Released(SECOND),
)


def both(one: Logged, other: Logged) -> Logged:
    """What two ways to log an event have in common, and what only one of them has."""
    keys = one.keys & other.keys
    sometimes = (one.keys | other.keys | one.sometimes | other.sometimes) - keys
    return Logged(
        one.event, one.levels | other.levels, one.loggers | other.loggers, keys, sometimes
    )


def together(found: list[Logged]) -> dict[Event, Logged]:
    events = {one.event for one in found}
    return {event: reduce(both, (one for one in found if one.event is event)) for event in events}


def captured(loggers: str, lines: list[Any]) -> list[Logged]:
    return [
        Logged(
            Event(line.pop("event")),
            frozenset({line.pop("log_level")}),
            frozenset({loggers}),
            frozenset(line),
        )
        for line in lines
    ]


def of_attempts() -> list[Logged]:
    """What is logged of each way in which an attempt ends, written or lost."""
    attempt: Any = SimpleNamespace(
        key=(uuid4(), 1), job=SimpleNamespace(rules=SimpleNamespace(keep="full"))
    )
    with structlog.testing.capture_logs() as lines:
        for outcome in OUTCOMES:
            for lost in (False, True):
                settled = Settling(_record(attempt, outcome))
                tell_ended(settled, Tally(), log.get("pillars.worker"), lost=lost)
    return captured("pillars.worker", lines)


def of_sweeps() -> list[Logged]:
    with structlog.testing.capture_logs() as lines:
        for counts in ((1, 1, 1, 1), (1, 0, 0, 0), (0, 1, 0, 0)):
            telling.tell_swept(Swept(True, *counts, parked=0), Tally())
    return captured("pillars.sweep", lines)


def of_pruning() -> list[Logged]:
    parents = re.findall(
        r"create table pillars\.(\w+)[^;]*partition by range",
        (REFERENCE.parents[1] / "sql/pillars/migrations/0001_tables.sql").read_text(),
    )
    assert len(parents) == 3
    with structlog.testing.capture_logs() as lines:
        tell_pruned(Counter(parents))
        tell_pruned(Counter(parents[:1]))
        tell_pruned(Counter(parents[1:]))
    return captured("pillars.history", lines)


def of_fences() -> list[Logged]:
    """The keywords of whoever calls for the fence."""
    return [
        Logged(
            Event.WORKER_FENCED,
            frozenset({"critical"}),
            frozenset({"pillars.worker"}),
            frozenset({"why", *(one.arg for one in call.keywords if one.arg)}),
        )
        for call in arguments_of("fence")
    ]


@cache
def found() -> dict[Event, Logged]:
    """Every event as the code logs it."""
    named = calls()
    spread = [*of_attempts(), *of_sweeps(), *of_pruning(), *of_fences()]
    # What is spread into a call is seen by other means, and then must have been.
    assert {one.event for one in named if one.spread} <= {one.event for one in spread}
    assert {*EVENTS.values(), Event.JOB_LOCK_LOST} <= {one.event for one in spread}
    return together([one for one in named if not one.spread] + spread)


def test_every_event_stands_there_once_and_no_other() -> None:
    assert sorted(code(cells[0])[0] for cells in table(PAGE, "event")) == sorted(Event)


def test_every_event_is_logged_somewhere() -> None:
    assert set(found()) == set(Event)


@pytest.mark.parametrize("event", sorted(Event))
def test_its_level_logger_and_keys_are_those_of_the_code(event: Event) -> None:
    one = found()[event]
    levels, loggers, keys, *_ = ROWS[event]
    assert set(levels.split(", ")) == one.levels
    assert set(code(loggers)) == one.loggers
    # structlog takes exc_info and writes exception, where there is one.
    renamed = {"exception" if key == "exc_info" else key for key in one.sometimes}
    assert {key for star, key in KEY.findall(keys) if not star} == one.keys
    assert {key for star, key in KEY.findall(keys) if star} == renamed


@pytest.mark.parametrize("event", sorted(Event))
def test_it_says_what_it_means_and_of_a_warning_what_to_do(event: Event) -> None:
    levels, _, _, means, to_do = ROWS[event]
    assert means.endswith(".")
    assert to_do or not {"warning", "error", "critical"} & set(levels.split(", "))


def test_the_line_that_is_shown_has_the_keys_of_its_event() -> None:
    [shown] = re.findall(r"```json\n(\{.*\})\n```", PAGE)
    line = from_json(shown)
    event = found()[Event(line["event"])]
    assert set(line) == {"timestamp", "level", "event", "logger", *event.keys}
    assert {line["level"]} == event.levels
    assert {line["logger"]} == event.loggers


@pytest.mark.parametrize("key", ["password", "token", "api_key", "authorization"])
def test_what_is_said_to_be_hidden_is(key: str) -> None:
    assert f"`{key}`" in PAGE
    assert log.redact(None, "info", {key: "x"})[key] == "[redacted]"
