"""Jobs that talk, and readers of all they say: what that costs those who run other jobs."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from pillars.store.ids import new_ids

from ..drains import QUIET
from ..filling import close_queue, fill, holds_claims, open_queue
from ..meter import cpu_of, measured, rss_mb
from ..processes import Pillar, Program, pillar, program
from ..running import Bench, Figures, Workload
from ..server import Database
from ..waiting import until_not, until_ran

JOBS = 150_000
TALKERS = 50
PER_SECOND = 5_000  # events of all of them
STREAMS = 200
WARM_UP = 8.0  # seconds of talk, and of all readers, before anything is measured
FOLLOWED = 40.0  # seconds, for longer than the drain takes

TALKING = "select count(distinct job_id) = $1 from pillars.job_events"
# What each stream should have heard: all of its job up to the last that it has.
SAID = "select job_id::text, event_id from pillars.job_events where kind = 'output'"


async def drain(bench: Bench, *, talkers: int = 0, streams: int = 0) -> Figures:
    """No-op jobs that lie there, by a worker that does nothing else, while others talk and readers follow."""
    marks = bench.marks(bench.jobs(JOBS))
    environ = {**marks.environ, **QUIET}
    async with bench.database() as database, AsyncExitStack() as stack:
        await fill(database, marks.jobs, name="noop")
        await close_queue(database)
        talking = new_ids(talkers)
        await _enqueue_talk(database, [str(one) for one in talking])
        await database.settle()
        web = None
        if talkers:
            asked = ("worker", "-q", "talk")
            await stack.enter_async_context(
                pillar(bench.folder, database.url, *asked, environ=environ)
            )
            await until_not(partial(_is_silent, database, talkers))
        if streams:
            web = await stack.enter_async_context(
                pillar(bench.folder, database.url, "web", environ=environ)
            )
        worker = await stack.enter_async_context(
            pillar(bench.folder, database.url, "worker", "-q", "default", environ=environ)
        )
        readers = await _readers(bench, stack, web, [str(one) for one in talking], streams)
        await asyncio.sleep(bench.seconds(WARM_UP))
        before = await _web(web)
        said_before = await database.ask("select count(*) from pillars.job_events")
        async with measured(database, [worker.pid]) as cost:
            await open_queue(database)
            await until_ran(marks, marks.jobs)
            await until_not(lambda: holds_claims_of_drain(database))
        said = await database.ask("select count(*) from pillars.job_events") - said_before
        after = await _web(web)
        figures = cost.per_job(marks.ran()) | {"events_per_s": said / cost.seconds}
        if web is not None and readers is not None:
            figures |= {
                "web_core_percent": (after[1] - before[1]) / cost.seconds * 100,
                "web_rss_mb": after[0],
                "web_grown_mb": after[0] - before[0],
                **await _checked(database, await readers.answer()),
            }
        marks.check()
        return figures


async def holds_claims_of_drain(database: Database) -> bool:
    """Whether outcomes of the drain are still to be written; those who talk hold claims all the time."""
    return bool(
        await database.ask("select exists (select from pillars.jobs where queue = 'default')")
    ) and await holds_claims(database)


async def _enqueue_talk(database: Database, job_ids: list[str]) -> None:
    if job_ids:
        per_second = PER_SECOND / len(job_ids)
        await database.ask(
            "with talk as (insert into pillars.jobs (job_id, name, queue, payload, max_attempts)"
            " select id, 'talk', 'talk', jsonb_build_object('per_second', $2::float8), 1 from unnest($1::uuid[]) id returning 1)"
            " select count(*) from talk",
            job_ids,
            per_second,
        )


async def _is_silent(database: Database, talkers: int) -> bool:
    """Whether some of them have not said a word yet."""
    return not await database.ask(TALKING, talkers)


async def _readers(
    bench: Bench, stack: AsyncExitStack, web: Pillar | None, job_ids: list[str], streams: int
) -> Program | None:
    """The readers, at work, once each has a connection."""
    if web is None:
        return None
    readers = await stack.enter_async_context(
        program(
            "followers", "follow", port=web.port, job_ids=job_ids, streams=streams,
            seconds=bench.seconds(FOLLOWED),
        )
    )  # fmt: skip
    readers.start()
    return readers


async def _web(web: Pillar | None) -> tuple[float, float]:
    """Its memory, and the processor's time that it has taken."""
    return (0.0, 0.0) if web is None else (rss_mb(web.pid), cpu_of(web.pid))


async def _checked(database: Database, told: dict[str, Any]) -> dict[str, float]:
    """What the readers have heard; raises where anything is missing or came twice."""
    rows = await database.connection.fetch(SAID)
    by_job: dict[str, list[int]] = {}
    for job_id, event_id in rows:
        by_job.setdefault(job_id, []).append(event_id)
    heard = 0
    for job_id, last, count, repeated in told["followers"]:
        meant = sum(1 for one in by_job[job_id] if one <= last)
        heard += count
        if count != meant or repeated:
            raise AssertionError(
                f"a stream has heard {count} of {meant} events, {repeated} of them twice or out of order"
            )
    if told["refused"]:
        raise AssertionError(f"streams were refused: {told['refused']}")
    return {"deliveries": float(heard), "reconnects": float(told["connections"])}


STREAMING = Workload(
    "streams",
    f"no-op jobs that lie there, while {TALKERS} jobs say {PER_SECOND:,} things a second and {STREAMS} streams of one web process are read",
    {
        "nobody talks": drain,
        "nobody follows": partial(drain, talkers=TALKERS),
        f"{STREAMS} streams": partial(drain, talkers=TALKERS, streams=STREAMS),
    },
    against={f"{STREAMS} streams": "nobody follows", "nobody follows": "nobody talks"},
    rounds=3,
)
