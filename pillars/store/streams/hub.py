"""The one reader of a process: it reads what all jobs say, once, and hands it to those who follow them."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import anyio

from pillars.errors import DatabaseTrouble
from pillars.store import job_events
from pillars.store.listener import Listener
from pillars.store.pool import Address, Pool
from pillars.store.rows import JobEvent, Standing
from pillars.store.streams.items import Said, Turned
from pillars.store.streams.past import LONG_AGO
from pillars.store.streams.stream import Stream
from pillars.store.streams.subscription import Subscription
from pillars.store.streams.topics import Topics
from pillars.store.streams.watch import Watch

LIMIT = 2_000  # events a turn: 20 ms of work
PAUSE = 0.03  # seconds between turns while jobs keep talking; nobody reads faster, and each turn is a write to each stream
MANY = 500  # events a second; of more nobody reads each as it comes
BUSY_PAUSE = 0.1  # seconds, where there are so many: a page draws no oftener
POLL = 1.0  # seconds; where no notification comes
CALM_POLL = 10.0  # seconds; where the listener has proved itself
PROVE = 10.0  # seconds
TRUST = timedelta(seconds=25)
FIRST_LOOK, LONGEST_LOOK = 0.25, 1.0  # seconds between looks at how jobs stand
FIND = 2.0  # seconds between looks for unfinished jobs of names and tags
REST = 20  # times as long as a look took is none
LATE = timedelta(minutes=10)  # how long an event may have waited between its time and its commit
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0  # seconds


class Streams:
    """Reads while anybody follows, and not at all otherwise: events by one statement, after one LISTEN; standings by another.

    It reads by `runtime`, so that nobody's requests keep all streams waiting; what was said before a stream was opened, by `pool`.
    """

    def __init__(self, runtime: Pool, pool: Pool, direct: Address) -> None:
        self._runtime = runtime
        self._pool = pool
        self._direct = direct
        self._holders = 0
        self._running: asyncio.Task[None] | None = None
        self._arriving = anyio.Lock()
        self._heard = asyncio.Event()
        self._listener: Listener | None = None
        self._by_job: dict[UUID, list[Subscription]] = {}
        self._wide: list[Subscription] = []
        self._everyone: dict[Subscription, None] = {}
        self._watch = Watch(runtime)
        self.position = 0
        """Up to which event all has been handed out."""
        self._since = LONG_AGO
        self._pause = PAUSE
        self._turned_at = 0.0
        self._read_since = 0
        """How many events were read since then."""
        self._read_at = self._look_at = self._find_at = self._prove_at = 0.0
        self._looked_at = self._look_took = 0.0
        self._look_rest = FIRST_LOOK

    def __len__(self) -> int:
        """How many streams are open."""
        return self._holders

    @property
    def listening(self) -> bool:
        """Whether notifications come; without them events are a second late at most."""
        return self._listener is not None and self._listener.proved

    def stream(
        self, topics: Topics, *, after: int | None = None, newest: int | None = None
    ) -> Stream:
        """A stream, to be opened as a context: from after an event on, or from the `newest` events of each of its jobs (None: all)."""
        return Stream(self, self._pool, topics, after=after, newest=newest)

    # --- what streams ask -------------------------------------------------------------------------------

    async def arrive(self) -> None:
        """Have the hub read, before anything is asked of it; `leave` ends that. Raises `DatabaseTrouble`."""
        self._holders += 1
        try:
            async with self._arriving:
                if self._running is None:
                    await self._begin()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        self._holders -= 1
        if self._holders == 0 and self._running is not None:
            self._running.cancel()
            self._running = None

    def add(self, subscription: Subscription) -> None:
        """Hand it everything that comes after `position`, and how its jobs stand."""
        topics = subscription.topics
        self._everyone[subscription] = None
        for job_id in topics.jobs:
            self._by_job.setdefault(job_id, []).append(subscription)
        if topics.wide:
            self._wide.append(subscription)
            self._find_at = 0.0
            for standing in self._watch.now_found():
                if topics.have(standing) and standing.state:
                    subscription.put(Turned(standing))
        self._watch.add(topics.jobs)
        self._look_soon()
        self._heard.set()
        if self._running is None:
            subscription.end()

    def remove(self, subscription: Subscription) -> None:
        if subscription not in self._everyone:
            return
        del self._everyone[subscription]
        for job_id in subscription.topics.jobs:
            followers = self._by_job[job_id]
            followers.remove(subscription)
            if not followers:
                del self._by_job[job_id]
        if subscription.topics.wide:
            self._wide.remove(subscription)
            if not self._wide:
                self._watch.forget_found()
        self._watch.remove(subscription.topics.jobs)

    async def known(self, job_ids: Iterable[UUID], topics: Topics) -> list[Standing]:
        """The names and tags of jobs, of those of which a row is left; those of the topics are followed from here on."""
        asked = set(job_ids)
        await self._watch.get_to_know(asked, topics.have)
        return [one for job_id in asked if (one := self._watch.known(job_id)) is not None]

    # --- reading ----------------------------------------------------------------------------------------

    async def read_once(self) -> bool:
        """Read what was said since the last turn and hand it out; returns whether there may be more."""
        events = await job_events.after(self._runtime, self.position, self._since, LIMIT)
        self._read_at = time.monotonic()
        self._read_since += len(events)
        if not events:
            return False
        if self._wide:
            await self._watch.get_to_know({one.job_id for one in events}, self._is_followed)
        # Another turn may have been faster.
        self._hand_out([one for one in events if one.event_id > self.position])
        self._look_soon()
        return len(events) == LIMIT

    async def look_once(self) -> int:
        """Ask how jobs stand and tell who follows them; returns how many stand otherwise."""
        begun = time.monotonic()
        turned = await self._watch.look()
        self._look_took = time.monotonic() - begun
        # What a job said before it ended was committed before this look, and goes first.
        while turned and await self.read_once():
            pass
        for one in turned:
            hearing = self._hearers(one.standing.job_id, one.standing, wide=one.news)
            for subscription in hearing:
                subscription.put(one)
        self._watch.told(turned)
        self._look_rest = FIRST_LOOK if turned else min(self._look_rest * 1.5, LONGEST_LOOK)
        self._looked_at = time.monotonic()
        self._look_at = self._looked_at + max(self._look_rest, REST * self._look_took)
        return len(turned)

    async def find_once(self) -> None:
        """Look for unfinished jobs of the names and tags that are followed."""
        begun = time.monotonic()
        names = {name for one in self._wide for name in one.topics.names}
        tags = {tag for one in self._wide for tag in one.topics.tags}
        if await self._watch.find(names, tags):
            self._look_soon()
        now = time.monotonic()
        self._find_at = now + max(FIND, REST * (now - begun))

    async def turn_once(self) -> bool:
        """Read, and look where that is due; returns whether there may be more to read."""
        self._heard.clear()
        more = await self.read_once()
        self._set_pause()
        if self._wide and time.monotonic() >= self._find_at:
            await self.find_once()
        if time.monotonic() >= self._look_at:
            await self.look_once()
        if time.monotonic() >= self._prove_at:
            await self._prove()
        return more

    async def close(self) -> None:
        """End every stream."""
        running, self._running = self._running, None
        self._end_all()
        if running is not None:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _begin(self) -> None:
        newest = await job_events.position(self._runtime)
        self.position, self._since = newest.event_id, newest.now - LATE
        self._prove_at = time.monotonic() + PROVE
        self._listener = Listener(
            self._direct,
            self._runtime,
            uuid4(),
            trust=TRUST,
            on_wake=lambda _nothing: self._heard.set(),
            on_told=lambda _nothing: None,
            on_change=lambda _up, _why: self._heard.set(),
            channel=job_events.CHANNEL,
        )
        self._running = asyncio.create_task(self._run(self._listener), name="pillars-streams")

    async def _run(self, listener: Listener) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(listener.run, name="pillars-streams-listener")
                await self._read()
        finally:
            if self._running is asyncio.current_task():
                self._running = None
                self._end_all()

    async def _read(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            try:
                more = await self.turn_once()
                backoff = FIRST_BACKOFF
            except DatabaseTrouble:
                await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311
                backoff = min(backoff * 2, LONGEST_BACKOFF)
                continue
            if not more:
                await self._rest()

    async def _rest(self) -> None:
        """Until there may be something to read, or a look is due; never less than the pause between two turns."""
        poll = self._read_at + (CALM_POLL if self.listening else POLL)
        due = [poll, self._prove_at]
        if self._everyone:
            due.append(self._look_at)
        if self._wide:
            due.append(self._find_at)
        with anyio.move_on_after(max(0.0, min(due) - time.monotonic())):
            await self._heard.wait()
        await asyncio.sleep(max(0.0, self._read_at + self._pause - time.monotonic()))

    def _set_pause(self) -> None:
        """By how many events a second there were since the last turn."""
        took = time.monotonic() - self._turned_at
        self._pause = BUSY_PAUSE if self._read_since > MANY * took else PAUSE
        self._turned_at += took
        self._read_since = 0

    async def _prove(self) -> None:
        """Have the listener prove itself, and see that this is the history that was read so far."""
        if self._listener is not None and not self._direct.route.deaf:
            await self._listener.prove()
        known = await job_events.bounds(self._runtime)
        if known.drawn < self.position:
            # A standby that had not all was promoted, or a backup restored.
            newest = await job_events.position(self._runtime)
            self.position, self._since = newest.event_id, newest.now - LATE
            self._end_all()
        self._prove_at = time.monotonic() + PROVE

    # --- handing out ------------------------------------------------------------------------------------

    def _hand_out(self, events: Sequence[JobEvent]) -> None:
        """Not awaiting anything: a stream that is added has either all of this, or `position` after it."""
        hearing: dict[UUID, list[Subscription]] = {}
        for event in events:
            job_id = event.job_id
            if (hearers := hearing.get(job_id)) is None:
                hearers = hearing[job_id] = self._hearers(job_id, self._watch.known(job_id))
            if hearers:
                item = Said(event)
                for one in hearers:
                    one.put(item)
        if events:
            self.position = events[-1].event_id
            self._since = max(one.created_at for one in events) - LATE

    def _hearers(
        self, job_id: UUID, standing: Standing | None, *, wide: bool = True
    ) -> list[Subscription]:
        by_id = self._by_job.get(job_id, [])
        if not (wide and self._wide and standing is not None):
            return by_id
        others = [one for one in self._wide if one not in by_id and one.topics.have(standing)]
        return [*by_id, *others]

    def _is_followed(self, standing: Standing) -> bool:
        return any(one.topics.have(standing) for one in self._wide)

    def _look_soon(self) -> None:
        """The look rests shorter where something happens."""
        soon = self._looked_at + max(FIRST_LOOK, REST * self._look_took)
        self._look_rest, self._look_at = FIRST_LOOK, min(soon, self._look_at)

    def _end_all(self) -> None:
        for one in self._everyone:
            one.end()
