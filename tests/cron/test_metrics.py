"""A cron process's figures, scraped from its health port."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx2
from figures import Figures

from pillars import every, job
from pillars.cron.pillar import Cron
from pillars.service.health import health_app
from pillars.service.process import Process
from support import until

Stage = Any


@job(name="ping")
async def ping() -> None: ...


def scraper(process: Process) -> Callable[[], Awaitable[Figures]]:
    async def scrape() -> Figures:
        transport = httpx2.ASGITransport(app=health_app(process))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return Figures((await client.get("/metrics")).text)

    return scrape


async def test_ticks_and_the_lead_are_counted(stage: Stage) -> None:
    process = stage.process(health_host="127.0.0.1")
    pulse = every("1s", ping, name="pulse")  # its jobs are never run: the second tick overlaps
    cron = Cron(process, [pulse])
    async with anyio.create_task_group() as group:
        group.start_soon(cron.run)
        await until(lambda: bool(process.tally.ticks["overlapped"]))
        figures = await scraper(process)()
        process.stopping.set()
    assert figures.of("pillars_ticks_total", outcome="enqueued") == 1
    assert (figures.of("pillars_ticks_total", outcome="overlapped") or 0) >= 1
    assert figures.of("pillars_ticks_total", outcome="late") == 0
    assert figures.of("pillars_leads") == figures.of("pillars_leader_present") == 1
    assert figures.of("pillars_schedules", paused="false") == 1
    assert figures.of("pillars_schedule_last_tick_time_seconds", schedule="pulse")
    assert figures.of("pillars_swept_jobs_total", outcome="rescued") == 0
    assert figures.of("pillars_claims_total") is None
    after = await scraper(process)()
    assert (after.of("pillars_leads"), after.of("pillars_process_ready", role="cron")) == (0, 0)


async def test_a_leaders_sweep_counts_what_it_rescued(stage: Stage) -> None:
    process = stage.process()
    leader = stage.leader()
    leader._process = process
    await leader.tick_once()
    await stage.tell("select pillars.enqueue('ping')")
    await stage.tell(
        """with taken as (update pillars.jobs set locked_by = gen_random_uuid(), lock_token = 7, locked_at = pillars.now()
                          returning locked_by, job_id)
           insert into pillars.locks (lock_token, locked_by, expires_at, job_ids) overriding system value
           select 7, locked_by, pillars.now() - interval '1 minute', array[job_id] from taken"""
    )
    leader._ticker._connected_at -= 60
    await leader.tick_once()
    assert process.tally.swept["rescued"] == 1
