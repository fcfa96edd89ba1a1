"""Rules of schedules: which moments are ticks. Pure; ticks are aware datetimes in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice

from cronsim import CronSim, CronSimError

from pillars.schedules.zones import zone

START = datetime(2000, 1, 1, tzinfo=UTC)  # `every` ticks at multiples of its interval since then
MOST_COUNTED = 1000  # missed ticks of a crontab: 14 us each to walk, and beyond it the number tells nobody more
FIRST_LOOK_BACK = timedelta(minutes=2)
INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@lru_cache(maxsize=1000)
def explained(crontab: str) -> str | None:
    """A crontab in words: "At 03:00 every day"; None for what is none."""
    try:
        return str(CronSim(crontab, START).explain())
    except CronSimError:
        return None


@dataclass(frozen=True, slots=True)
class Interval:
    """Ticks at multiples of an interval since 2000-01-01 UTC."""

    every: timedelta

    def after(self, moment: datetime) -> datetime:
        """The first tick strictly after a moment."""
        return START + ((moment - START) // self.every + 1) * self.every

    def last(self, since: datetime, until: datetime, limit: int) -> list[datetime]:
        """The last `limit` ticks from `since` to `until`, both included, in order."""
        first, newest = self._numbers(since, until)
        numbers = range(max(first, newest - limit + 1), newest + 1)
        return [START + number * self.every for number in numbers]

    def count(self, since: datetime, before: datetime) -> int:
        """How many ticks from `since` on come before a moment; exact."""
        first, newest = self._numbers(since, before - INSTANT)
        return max(0, newest - first + 1)

    def _numbers(self, since: datetime, until: datetime) -> tuple[int, int]:
        return (since - INSTANT - START) // self.every + 1, (until - START) // self.every


@dataclass(frozen=True, slots=True)
class Crontab:
    """Ticks where the clock on a wall of `timezone` shows what the expression says.

    Around a change of that clock as Debian's cron: a rule whose minute and hour are both fixed (neither begins with `*`) runs once
    at the jump where its time is jumped over, and the first time where its time comes twice; any other follows real time. cronsim
    reads the expression and walks the wall's time; what that is in real time is decided here.
    """

    expression: str
    timezone: str
    _zone: tzinfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", zone(self.timezone))
        CronSim(self.expression, datetime(2000, 1, 1))  # noqa: DTZ001 - the wall's time has no zone

    def after(self, moment: datetime) -> datetime | None:
        """The first tick strictly after a moment; None where there is none in 50 years."""
        return next(self.ticks(moment), None)

    def last(self, since: datetime, until: datetime, limit: int) -> list[datetime]:
        """The last `limit` ticks from `since` to `until`, both included, in order.

        Looks back twice as far each time, so a long outage of a frequent rule costs no more than a short one.
        """
        look_back = FIRST_LOOK_BACK
        while True:
            start = max(since, until - look_back) - INSTANT
            found = self._between(start, until)
            if len(found) >= limit or start < since:
                return found[-limit:]
            look_back *= 2

    def count(self, since: datetime, before: datetime) -> int:
        """How many ticks from `since` on come before a moment, counted to `MOST_COUNTED`."""
        ticks = islice(self.ticks(since - INSTANT), MOST_COUNTED)
        return sum(1 for _ in _until(ticks, before - INSTANT))

    def ticks(self, moment: datetime) -> Iterator[datetime]:
        """Every tick strictly after a moment, in order."""
        minute, hour, *_ = self.expression.split()
        if minute.startswith("*") or hour.startswith("*"):
            return self._by_real_time(moment)
        return self._by_the_wall(moment)

    def _between(self, start: datetime, until: datetime) -> list[datetime]:
        return list(_until(self.ticks(start), until))

    def _by_the_wall(self, moment: datetime) -> Iterator[datetime]:
        """Each time that the wall should show, once: times jumped over fall together on the jump."""
        newest = moment
        for wall in CronSim(self.expression, self._wall(moment, self._offset(moment))):
            tick = self._first_real(wall)
            if tick > newest:
                newest = tick
                yield tick

    def _first_real(self, wall: datetime) -> datetime:
        """When the wall first shows this time; if it never does, when it jumps over it."""
        while True:
            tick = wall.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
            if tick.astimezone(self._zone).replace(tzinfo=None) == wall:
                return tick
            wall += MINUTE

    def _by_real_time(self, moment: datetime) -> Iterator[datetime]:
        """Each real moment at which the wall shows a time of the rule: one stretch of equal offset after another."""
        start, offset = moment, self._offset(moment)
        while True:
            for wall in CronSim(self.expression, self._wall(start, offset)):
                tick = (wall - offset).replace(tzinfo=UTC)
                change = self._change(start, tick, offset)
                if change is not None:
                    # The change may itself be a tick, and CronSim begins after the second that it is given.
                    start, offset = change - SECOND, self._offset(change)
                    break
                yield tick
                start = tick
            else:
                return

    def _change(self, start: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first moment after `start`, and not after `end`, at which the zone leaves `offset`."""
        while start < end:
            probe = min(start + DAY, end)  # no zone changes and changes back within a day
            if self._offset(probe) != offset:
                return self._edge(start, probe, offset)
            start = probe
        return None

    def _edge(self, before: datetime, after: datetime, offset: timedelta) -> datetime:
        low, high = 0, (after - before) // SECOND + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(before + middle * SECOND) == offset:
                low = middle
            else:
                high = middle
        return (before + high * SECOND).replace(microsecond=0)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)

    def _wall(self, moment: datetime, offset: timedelta) -> datetime:
        return (moment.astimezone(UTC) + offset).replace(tzinfo=None)


Rule = Interval | Crontab
"""What a schedule follows."""


def _until(ticks: Iterator[datetime], until: datetime) -> Iterator[datetime]:
    for tick in ticks:
        if tick > until:
            return
        yield tick
