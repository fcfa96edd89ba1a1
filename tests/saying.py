"""Jobs that say something: what a worker would write of them, and streams to hear it by."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from pillars.store import job_events
from pillars.store.rows import Claimed
from pillars.store.streams import Item, Said, Stream, Turned
from stepping import Hand, define, hand, put


class Speaker:
    """A worker that holds jobs and says things for them, counting: the body of each is its number."""

    def __init__(self, worker: Hand, held: Sequence[Claimed]) -> None:
        self.worker = worker
        self.held = list(held)
        self.count = 0

    @property
    def job_ids(self) -> list[UUID]:
        return [one.job_id for one in self.held]

    async def say(self, count: int = 1, *, kind: str = "output", body: Any = None) -> None:
        """Say so many things, the jobs in turns."""
        said = []
        for _ in range(count):
            one = self.held[self.count % len(self.held)]
            self.count += 1
            text = json.dumps(self.count if body is None else body)
            said.append(job_events.Said(one.job_id, one.lock_token, one.attempt, kind, text))
        written = await job_events.write(self.worker.session, self.worker.worker_id, said)
        assert {one.job_id for one in written} == {one.job_id for one in said}

    async def end(self, *which: Claimed, state: str = "completed", **said: Any) -> None:
        await self.worker.finish(*(which or self.held), state=state, **said)


@asynccontextmanager
async def speaking(db: str, jobs: int = 1, **columns: Any) -> AsyncIterator[Speaker]:
    """A worker that holds so many new jobs."""
    await define(db, columns.get("name", "work"))
    await put(db, jobs, **columns)
    async with hand(db) as worker:
        claim = await worker.claim(jobs, names=[columns.get("name", "work")])
        assert len(claim.jobs) == jobs
        yield Speaker(worker, claim.jobs)


async def heard(stream: Stream, count: int, *, within: float = 10) -> list[Item]:
    """The next items of a stream, so many at least."""
    items: list[Item] = []
    while len(items) < count:
        more = await stream.more(within)
        assert more or stream.ended, f"heard {len(items)} of {count}"
        items += more
        if stream.ended:
            break
    return items


def numbers(items: Sequence[Item]) -> list[int]:
    """The numbers that jobs have said."""
    return [int(one.event.body) for one in items if isinstance(one, Said)]


def ids(items: Sequence[Item]) -> list[int]:
    return [one.event.event_id for one in items if isinstance(one, Said)]


def states(items: Sequence[Item]) -> list[str]:
    return [one.standing.state for one in items if isinstance(one, Turned)]
