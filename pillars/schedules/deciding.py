"""What becomes of a schedule that is due: which tick, how many it stands for, when the next is. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pillars.errors import DefinitionError
from pillars.schedules.reading import read
from pillars.schedules.rules import Interval, Rule
from pillars.store.rows import Due

MOST_CAUGHT_UP = 100  # jobs: after a long outage a flood of old work helps nobody
ON_TIME = timedelta(minutes=1)  # with catchup="skip": longer than another leader needs to take over


@dataclass(frozen=True, slots=True)
class Decision:
    """The oldest tick to be decided; None where nothing is due by the rule, which moves the schedule on."""

    tick: datetime | None
    late: bool
    missed: int
    next_run_at: datetime | None


def rule_of(due: Due) -> Rule:
    """The rule in the row; raises `DefinitionError` where this machine cannot follow it."""
    if due.every is not None:
        return Interval(due.every)
    if due.crontab is None:
        raise DefinitionError("the row has neither every nor crontab")
    return read(due.crontab, due.timezone)


def decide(due: Due, now: datetime) -> Decision:
    """Decide what a schedule does now. Called again at once where `next_run_at` is past: one tick at a time.

    Every tick from `next_run_at` to now is due. "all" takes the oldest of the last 100, the others take the latest; `missed`
    counts what came before it. A row of which `next_run_at` is no tick of its rule (a resume, new time zone data) is due
    from there on, not then.
    """
    rule = rule_of(due)
    ticks = rule.last(due.next_run_at, now, MOST_CAUGHT_UP if due.catchup == "all" else 1)
    if not ticks:
        return Decision(None, late=False, missed=0, next_run_at=rule.after(now))
    tick = ticks[0]
    return Decision(
        tick,
        late=_is_late(due, now - tick),
        missed=rule.count(due.next_run_at, tick),
        next_run_at=rule.after(tick),
    )


def _is_late(due: Due, lateness: timedelta) -> bool:
    """Past the window. The default of "latest", a period and at least an hour, holds every latest tick."""
    window = due.catchup_window
    if window is None and due.catchup == "skip":
        window = ON_TIME
    return window is not None and lateness > window
