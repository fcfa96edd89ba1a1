"""One reader's stream: first what was said before, then what comes, without a gap or a repeat."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from pillars.errors import UnknownJob
from pillars.store import job_events
from pillars.store.pool import Pool
from pillars.store.rows import Standing
from pillars.store.standings import since, standings
from pillars.store.streams.items import ENDED, Item, Turned
from pillars.store.streams.past import FARTHEST, PastOfAll, PastOfJobs
from pillars.store.streams.subscription import Subscription
from pillars.store.streams.topics import Topics

if TYPE_CHECKING:
    from pillars.store.streams.hub import Streams

EVER = 2**63 - 1
AHEAD = "it is ahead of every event there has been"
PRUNED = "events after it are not kept any more"
FAR = f"more than {FARTHEST:,} events were said since, too many to look through for those of a name or a tag"


class Stream:
    """A context; inside, `more` returns what comes next. `position` is up to which event everything has been returned.

    Opening it raises `UnknownJob` where a job of its topics has no row, and `DatabaseTrouble`.
    """

    def __init__(
        self, hub: "Streams", pool: Pool, topics: Topics, *, after: int | None, newest: int | None
    ) -> None:
        self.topics = topics
        self.position = after
        self.reset: str | None = None
        """Why it begins anew rather than after the event that was asked for; None where it does not."""
        self.left_out: list[UUID] = []
        """Jobs that have said more than their newest events, with which it begins."""
        self.standings: list[Standing] = []
        """How the jobs that it names stood when it was opened."""
        self._hub = hub
        self._pool = pool
        self._newest = newest
        self._past: PastOfJobs | PastOfAll | None = None
        self._subscription = Subscription(topics)
        self._up_to: int | None = None
        self._told: dict[UUID, Standing] = {}
        self._unfinished: set[UUID] = set(topics.jobs)

    async def __aenter__(self) -> Self:
        await self._hub.arrive()
        try:
            await self._open()
        except BaseException:
            self._hub.leave()
            raise
        return self

    async def __aexit__(
        self, _type: object, _error: BaseException | None, _traceback: TracebackType | None, /
    ) -> None:
        self._hub.remove(self._subscription)
        self._hub.leave()

    @property
    def behind(self) -> bool:
        """Whether it was read too slowly: it ends here, and another one goes on from `position`."""
        return self._subscription.behind

    @property
    def over(self) -> bool:
        """Whether the reader has stopped, as at a shutdown."""
        return self._subscription.over

    @property
    def ended(self) -> bool:
        """Whether every job has ended, and that was returned: nothing more will come."""
        return not self._unfinished and not self.topics.wide

    def stop(self) -> None:
        """Have a reader that waits go on: it is `over`."""
        self._subscription.end()

    async def is_exhausted(self) -> bool:
        """Whether its jobs had ended when it was opened, and said nothing after the event that it begins after."""
        if self.topics.wide or any(one.state not in ENDED for one in self.standings):
            return False
        after = dict.fromkeys(self.topics.jobs, self.position or 0)
        # Not up to where the hub is: what they said last, it may have still to read.
        return not await job_events.of_jobs(
            self._pool, after, up_to=EVER, made_since=since(after), limit=1
        )

    async def more(self, within: float) -> list[Item]:
        """What comes next, waiting so many seconds at most; then nothing."""
        while self._past is not None:
            page = await self._past.read(self._hub.position if self._up_to is None else self._up_to)
            if page.items:
                self.position = page.items[-1].event.event_id
            if page.last:
                self._go_live()
            if page.items:
                return [*page.items]
        return await self._next(time.monotonic() + within)

    def _go_live(self) -> None:
        """Once little of the past is left, have what comes now wait until that is read: added first, and read then, nothing is missed."""
        if self._up_to is None:
            self._hub.add(self._subscription)
            self._up_to = self._hub.position
        else:
            self._past = None
            self.position = max(self.position or 0, self._up_to)

    async def _next(self, deadline: float) -> list[Item]:
        while True:
            left = deadline - time.monotonic()
            taken = await self._subscription.take(max(0.0, left))
            # Where there was nothing but what has been told, there is time left.
            if (items := self._noted(taken)) or not taken or left <= 0:
                return items

    def _noted(self, taken: list[Item]) -> list[Item]:
        """What was taken, without what was told before; and how far that goes."""
        items: list[Item] = []
        for one in taken:
            if isinstance(one, Turned):
                if not self._is_news(one.standing):
                    continue
            else:
                self.position = one.event.event_id
            items.append(one)
        if not (self.behind or self._subscription.waiting):
            self.position = self._hub.position
        return items

    def _is_news(self, standing: Standing) -> bool:
        job_id = standing.job_id
        if job_id not in self.topics.jobs:
            return True
        if standing.state in ENDED:
            self._unfinished.discard(job_id)
        news = self._told.get(job_id) != standing
        self._told[job_id] = standing
        return news

    async def _open(self) -> None:
        jobs = self.topics.jobs
        self.standings = await standings(self._pool, jobs)
        missing = jobs - {one.job_id for one in self.standings}
        if (
            missing and self.position is None
        ):  # else they were there: they have ended, and left no row
            raise UnknownJob.gone(min(missing))
        self._told = {one.job_id: one for one in self.standings if one.state not in ENDED}
        if self.position is not None:
            self.reset = await self._why_not_after(self.position)
        if self.reset:
            self.position = None
        if self.position is not None and self.topics.wide:
            self._past = PastOfAll(self._pool, self.topics, self._hub.known, self.position)
        elif jobs:
            self._past = PastOfJobs(self._pool, await self._floors())
        else:
            self._hub.add(self._subscription)
            self.position = self._hub.position

    async def _floors(self) -> dict[UUID, int]:
        """After which event to begin with each job."""
        jobs = self.topics.jobs
        if self.position or self._newest is None:
            return dict.fromkeys(jobs, self.position or 0)
        floors = await job_events.floors(
            self._pool, jobs, made_since=since(jobs), wanted=self._newest
        )
        self.left_out = sorted(floors)
        return {**dict.fromkeys(jobs, 0), **floors}

    async def _why_not_after(self, event_id: int) -> str | None:
        """Why nobody can go on after an event; zero is before all."""
        known = await job_events.bounds(self._pool)
        if event_id > known.drawn:
            return AHEAD
        if event_id > 0 and event_id < (known.oldest - 1 if known.oldest else known.drawn):
            return PRUNED
        if self.topics.wide and self._hub.position - event_id > FARTHEST:
            return FAR
        return None
