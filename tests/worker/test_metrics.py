"""A worker's figures move as its jobs do; scraped from its health port."""

import socket

import anyio
import httpx2
from figures import Figures

from pillars import Context, Retry, Snooze, job
from pillars.service.health import serve_health
from pillars.store.database import Database
from stepping import EXPIRED, define, hand, put
from support import ask, move_clock, running, tell, until, worker_for


@job(name="work", max_attempts=3, backoff="0s")
async def work(ctx: Context, how: str = "") -> None:
    match how:
        case "fail":
            raise ValueError(how)
        case "retry" if ctx.attempt == 1:
            raise Retry(after=0)
        case "snooze" if ctx.context is None:
            raise Snooze("1h")
        case "wait":
            await anyio.sleep_forever()


@job(name="sync", queue="slow")
def sync() -> None: ...


async def scraped(port: int) -> Figures:
    async with httpx2.AsyncClient() as client:
        return Figures((await client.get(f"http://127.0.0.1:{port}/metrics")).text)


async def test_what_jobs_do_is_counted_by_name_and_outcome(db: str, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    worker = worker_for(database, work, sync, health_port=port, concurrency=7, threads=3)
    async with anyio.create_task_group() as group:
        async with running(worker):
            group.start_soon(serve_health, worker.process)
            for how in ("", "", "fail", "retry", "snooze"):
                await work.enqueue(how)
            await sync.enqueue()
            held = await work.enqueue("wait")
            await until(lambda: settled(db))
            figures = await scraped(port)
            while figures.of("pillars_listener_up") != 1:  # no proof was heard just now: a stall
                figures = await scraped(port)
            await held.cancel()
        group.cancel_scope.cancel()
    outcomes = {
        outcome: figures.of("pillars_attempts_total", job="work", outcome=outcome)
        for outcome in ("completed", "failed", "retried", "snoozed", "cancelled", "lost")
    }
    # Two at once and the retried one complete; what fails does so after two more tries.
    assert outcomes == {
        "completed": 3, "failed": 1, "retried": 3, "snoozed": 1, "cancelled": None, "lost": None,
    }  # fmt: skip
    assert figures.of("pillars_attempts_total", job="sync", outcome="completed") == 1
    assert figures.of("pillars_run_seconds_count", job="work") == 8
    assert figures.of("pillars_wait_seconds_count", queue="default") == 9
    assert figures.of("pillars_wait_seconds_count", queue="slow") == 1
    assert (figures.of("pillars_wait_seconds_sum", queue="default") or -1) >= 0
    assert figures.of("pillars_slots", kind="async") == 7
    assert figures.of("pillars_slots", kind="thread") == 3
    assert figures.of("pillars_slots_in_use", kind="async") == 1
    assert figures.of("pillars_slots_in_use", kind="thread") == 0
    assert (figures.of("pillars_claims_total") or 0) >= 1
    assert (figures.of("pillars_finish_flushes_total") or 0) >= 1
    assert figures.of("pillars_locks_lost_total") == 0
    assert figures.of("pillars_listener_up") == 1
    assert figures.of("pillars_process_ready", role="worker") == 1
    assert figures.of("pillars_workers") == 1
    assert figures.of("pillars_leads") is None
    assert figures.of("pillars_jobs", queue="default", state="running") == 1
    assert figures.of("pillars_jobs", queue="default", state="scheduled") == 1


async def settled(db: str) -> bool:
    """All but the snoozed job and the one that waits."""
    left = "select count(*) = 2 and count(*) filter (where attempt = 1) = 1 from pillars.jobs"
    return bool(await ask(db, left))


async def test_a_lock_that_was_lost_is_counted_once(db: str, database: Database) -> None:
    worker = worker_for(database, work)
    async with running(worker):
        handle = await work.enqueue("wait")
        await until(lambda: bool(worker.running()))
        await tell(
            db,
            "update pillars.jobs set locked_by = null, lock_token = null, run_at = now() + interval '1 day'",
        )
        await handle.cancel()
        worker._told(handle.job_id)
        await until(lambda: bool(worker.process.tally.locks_lost))
    assert worker.process.tally.locks_lost == 1
    assert worker.process.tally.runs["work"].outcomes == {"lost": 1}


async def test_what_a_sweep_rescues_is_counted(db: str, database: Database) -> None:
    await define(db)
    await put(db, 2)
    worker = worker_for(database, work)
    async with hand(db) as dead:
        await dead.take()
    await move_clock(db, EXPIRED)
    await worker.sweeper.sweep_once()
    worker.sweeper._connected_at -= 60
    await worker.sweeper.sweep_once()
    assert worker.process.tally.swept == {"rescued": 2}
    await worker.sweeper._forget_session()
