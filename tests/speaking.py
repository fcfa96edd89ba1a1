"""What jobs said, read from the database; and a job that is held while it may say things."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from pillars import Context, job
from pillars.jobs.definition import Job
from pillars.jobs.handle import Handle
from pillars.store.database import Database
from pillars.worker.pillar import Worker
from support import asking, running, until, worker_for

Body = dict[str, Any]


async def said(db: str, job_id: UUID | str, kind: str | None = None) -> list[Body]:
    """The bodies of what a job has said, in their order."""
    async with asking(db) as connection:
        found = await connection.fetch(
            "select body::text from pillars.job_events where job_id = $1 and kind = coalesce($2, kind) order by event_id",
            UUID(str(job_id)),
            kind,
        )
    return [json.loads(one["body"]) for one in found]


async def written(db: str, job_id: UUID | str, rows: int) -> bool:
    """Whether a job has so many events."""
    return len(await said(db, job_id)) >= rows


async def ran(database: Database, what: Job[..., Any], *args: Any) -> Handle[Any]:
    """Run a job by a worker, to its end."""
    async with running(worker_for(database, what)):
        handle = await what.enqueue(*args)
        await until(lambda: ended(handle))
    return handle


async def ended(handle: Handle[Any]) -> bool:
    return await handle.state() in {"completed", "failed", "cancelled"}


class Gate:
    """A job that says things, waits to be let, and says more."""

    def __init__(self) -> None:
        self.ctx: Context | None = None
        self.let = asyncio.Event()

        @job(name="gated", max_attempts=2, backoff="10ms")
        async def gated(ctx: Context) -> str:
            self.ctx = ctx
            await self.let.wait()
            return "done"

        self.job = gated

    @asynccontextmanager
    async def inside(self, database: Database) -> AsyncIterator[tuple[Worker, Context, UUID]]:
        """The block runs while the job's code waits."""
        async with running(worker_for(database, self.job)) as worker:
            handle = await self.job.enqueue()
            await until(lambda: self.ctx is not None)
            assert self.ctx is not None
            yield worker, self.ctx, handle._id
            self.let.set()


@job(name="tells")
async def tells(ctx: Context) -> None:
    ctx.emit("begun")
    ctx.log.info("step.taken", number=1)
    ctx.metadata["url"] = "https://example.com/1"
    ctx.progress(1, 3, "reading")
    ctx.log.warning("step.missed", number=2)
    ctx.emit("page", {"number": 2})


@job(name="tells.in_a_thread")
def tells_in_a_thread(ctx: Context) -> None:
    ctx.emit("begun")
    ctx.log.info("step.taken", number=1)
    ctx.metadata["url"] = "https://example.com/1"
    ctx.progress(1, 3, "reading")
    ctx.log.warning("step.missed", number=2)
    ctx.emit("page", {"number": 2})


def closed(ctx: Context) -> bool:
    return bool(ctx._control.exchange.voice.closed)  # type: ignore[attr-defined]
