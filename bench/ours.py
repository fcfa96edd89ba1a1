"""Programs that enqueue through the runtime's public names, as code outside `app` does."""

from datetime import UTC, datetime
from functools import partial

from pillars import connect, enqueue_many, job
from pillars.jobs.connected import current
from pillars.store import inserting
from pillars.store.merging import Merger
from pillars.store.wakeups import Wakeups

from .calling import call_apart, call_steadily, due_times, keep_calling, warm
from .child import done, gate, main


@job(name="noop")
async def noop(i: int) -> None:
    """Defined here for its name and its arguments; bench/project is where it runs."""


@job(name="stamp")
async def stamp(i: int) -> None: ...


class Silent(Wakeups):
    """Tells nobody of new work: what enqueues would cost without."""

    def may_ride(self, _queue: str) -> bool:
        """Never: so that no enqueue carries a notification."""
        return False

    def wake(self, queue: str) -> None: ...


async def insert(url: str, *, clients: int, seconds: float, notify: bool = True) -> None:
    """Enqueue one by one, in as many tasks, for so long."""
    async with connect(url):
        if not notify:
            database = current()
            database.enqueues = Merger(
                partial(inserting.insert, database.pool, Silent(database.pool))
            )
        warmed = await warm(clients, noop.enqueue)
        await gate()
        called = await keep_calling(clients, seconds, lambda _client: noop.enqueue)
        await done(done=called, stored=called + warmed)


async def bulk(url: str, *, jobs: int, at_once: int) -> None:
    """Enqueue many at once, again and again."""
    async with connect(url):
        await warm(1, noop.enqueue)
        await gate()
        for first in range(0, jobs, at_once):
            await enqueue_many(noop.call(i) for i in range(first, min(first + at_once, jobs)))
        await done(done=jobs)


async def send(url: str, *, seconds: float) -> None:
    """Enqueue a job now and then."""
    async with connect(url):
        await gate()
        await done(began=await call_apart(seconds, stamp.enqueue))


async def schedule(url: str, *, jobs: int) -> None:
    """Enqueue jobs that are due in seconds."""
    async with connect(url):
        await gate()
        due = due_times(jobs)
        for number, at in enumerate(due):
            await stamp.configure(run_at=datetime.fromtimestamp(at, UTC)).enqueue(number)
        await done(due=due)


async def load(url: str, *, bursts: int, pause: float, size: int, first: int) -> None:
    """Enqueue `size` no-op jobs every `pause` seconds, numbered from `first`."""

    async def burst(number: int) -> None:
        start = first + number * size
        await enqueue_many(noop.call(i) for i in range(start, start + size))

    async with connect(url):
        await gate()
        await call_steadily(bursts, pause, burst)
        await done(done=bursts * size)


if __name__ == "__main__":
    main(insert=insert, bulk=bulk, send=send, schedule=schedule, load=load)
