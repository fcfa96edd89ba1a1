"""`app queues`, `app schedules`, `app workers`."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pillars.cli import following, opening, saying
from pillars.cli.ending import DONE, FAILED, arguments
from pillars.cli.following import Made
from pillars.cli.opening import Opened
from pillars.cli.recording import record, record_after
from pillars.cli.tables import Cell, Column
from pillars.durations import words
from pillars.errors import Unknown
from pillars.jobs.options import checked_name
from pillars.moments import age, span
from pillars.store import listing, oversight, queues, schedules, workers
from pillars.store.ids import new_id
from pillars.store.pool import Pool
from pillars.store.rows import Listed, ProcessRow, Queue
from pillars.store.session import Executor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LONGEST = 300  # characters of names within a line

R = TypeVar("R", bound="DataclassInstance")

QUEUES = (
    Column(title="QUEUE", least=12),
    Column(title="READY", right=True),
    Column(title="RUNNING", right=True),
    Column(title="SCHEDULED", right=True),
    Column(title="WAITING", right=True),
    Column(title="OLDEST READY", right=True),
    Column(title="WORKERS", right=True, optional=True),
    Column(title="STATE"),
)
SCHEDULES = (
    Column(title="SCHEDULE", least=20, keep_end=True),
    Column(title="RULE"),
    Column(title="ZONE", optional=True),
    Column(title="NEXT"),
    Column(title="LAST", least=16),
    Column(title="JOB", least=20, optional=True, keep_end=True),
    Column(title="ERROR", least=20),
)
PROCESSES = (
    Column(title="ROLE"),
    Column(title="PROCESS", least=16),
    Column(title="STATE"),
    Column(title="VERSION", optional=True),
    Column(title="QUEUES", least=10),
    Column(title="BUSY", right=True),
    Column(title="WAKES BY"),
    Column(title="SEEN"),
    Column(title="UP", optional=True),
)


def list_queues(*, as_json: bool) -> int:
    """Print every queue that anybody has named."""
    found, processes, now = opening.run(_queues, command="queues")
    if as_json:
        saying.items(map(listing.plain, found))
        return DONE
    if found:
        saying.rows(QUEUES, [_of_queue(queue, processes, now) for queue in found])
        unserved = oversight.unserved(found, processes)
        if unserved:
            saying.tell(f"no worker serves {', '.join(unserved)[:LONGEST]}; start one: app worker")
    saying.tell(
        saying.counted(len(found), "queue")
        if found
        else "no queues yet; enqueue a job: app jobs enqueue NAME"
    )
    return DONE


def list_schedules(*, as_json: bool) -> int:
    """Print every schedule of every deployment."""
    found, now = opening.run(_schedules, command="schedules")
    if as_json:
        saying.items(map(listing.plain, found))
        return DONE
    if found:
        saying.rows(SCHEDULES, [_of_schedule(one, now) for one in found])
    none = (
        'no schedules; write one in crons/, such as pulse = every("30s", ping), and start app cron'
    )
    saying.tell(saying.counted(len(found), "schedule") if found else none)
    return DONE


def list_workers(*, as_json: bool) -> int:
    """Print every process that has a row: workers, and what runs beside them."""
    found, now = opening.run(_processes, command="workers")
    if as_json:
        saying.items(map(listing.plain, found))
        return DONE
    if found:
        saying.rows(PROCESSES, [_of_process(one, now) for one in found])
    dead = sum(not one.alive for one in found)
    said = saying.counted(len(found), "process", "processes") + (f", {dead} dead" if dead else "")
    saying.tell(said if found else "no process is running; start some: app dev, or app worker")
    return DONE


def pause_queues(names: Sequence[str], *, as_json: bool) -> int:
    """Let no worker claim from these queues."""
    return each(
        names,
        "queue.pause",
        _pause_queue,
        lambda queue: f"{queue.name} paused; what runs goes on",
        as_json=as_json,
    )


def resume_queues(names: Sequence[str], *, as_json: bool) -> int:
    """Let workers claim from these queues again."""
    return each(
        names, "queue.resume", _resume_queue, lambda queue: f"{queue.name} resumed", as_json=as_json
    )


def pause_schedules(names: Sequence[str], *, as_json: bool) -> int:
    """Stop the ticks of these schedules."""
    return each(names, "schedule.pause", _pause, lambda one: f"{one.name} paused", as_json=as_json)


def resume_schedules(names: Sequence[str], *, as_json: bool) -> int:
    """Let these schedules tick again."""
    return each(
        names, "schedule.resume", _resume, lambda one: f"{one.name} resumed", as_json=as_json
    )


def run_schedule(name: str, *, wait: str | None, as_json: bool) -> int:
    """Make the job of a schedule now; with `wait`, print its result."""
    with arguments():
        patience = following.patience_of(wait)
        checked_name(name, "schedule")
    return following.follow(partial(_run, name), patience=patience, as_json=as_json)


async def _pause_queue(executor: Executor, name: str) -> Queue:
    await queues.pause(executor, name)
    return await queues.find(executor, name)


async def _resume_queue(executor: Executor, name: str) -> Queue:
    await queues.resume(executor, name)
    return await queues.find(executor, name)


async def _queues(opened: Opened) -> tuple[list[Queue], list[ProcessRow], datetime]:
    pool = opened.database.pool
    return await queues.listed(pool), await workers.listed(pool), await schedules.now(pool)


async def _schedules(opened: Opened) -> tuple[list[Listed], datetime]:
    pool = opened.database.pool
    return await schedules.listed(pool), await schedules.now(pool)


async def _processes(opened: Opened) -> tuple[list[ProcessRow], datetime]:
    pool = opened.database.pool
    return await workers.listed(pool), await schedules.now(pool)


async def _pause(executor: Executor, name: str) -> Listed:
    await schedules.pause(executor, name)
    return await schedules.find(executor, name)


async def _resume(executor: Executor, name: str) -> Listed:
    await schedules.resume(executor, name)
    return await schedules.find(executor, name)


async def _run(name: str, opened: Opened) -> Made:
    pool = opened.database.pool
    stored = await schedules.run_now(pool, name, new_id())
    await record_after(pool, "schedule.run", name, job_id=stored.job_id, created=stored.created)
    return Made(stored, await listing.find(pool, stored.job_id))


def each(
    names: Sequence[str],
    action: str,
    act: Callable[[Executor, str], Awaitable[R]],
    told: Callable[[R], str],
    *,
    as_json: bool,
) -> int:
    """Do it to each name of a thing, whatever became of the one before; 1 where one is not there."""
    thing = action.partition(".")[0]
    with arguments():
        checked = [checked_name(name, thing) for name in dict.fromkeys(names)]

    async def work(opened: Opened) -> list[R | Unknown]:
        return [await _tried(act, opened.database.pool, name, action) for name in checked]

    answers = opening.run(work, command=f"{thing}s")
    rows = [one for one in answers if not isinstance(one, Unknown)]
    missing = [one for one in answers if isinstance(one, Unknown)]
    if as_json:
        saying.items(map(listing.plain, rows))
    else:
        saying.lines([told(row) for row in rows])
    for error in missing:
        saying.tell(f"app: {error}")
    return FAILED if missing else DONE


async def _tried(
    act: Callable[[Executor, str], Awaitable[R]], pool: Pool, name: str, action: str
) -> R | Unknown:
    """Do it and write it down, both or neither."""
    try:
        async with pool.session() as session, session.transaction():
            row = await act(session, name)
            await record(session, action, name)
    except Unknown as error:
        return error
    return row


# --- rows ---------------------------------------------------------------------------------------------------


def _of_queue(queue: Queue, processes: Sequence[ProcessRow], now: datetime) -> list[Cell]:
    paused = Cell(f"paused {age(queue.paused_at, now)}", "yellow") if queue.paused_at else Cell("")
    counts = (queue.ready, queue.running, queue.scheduled, queue.parked)
    oldest = span(timedelta(seconds=queue.oldest_ready_seconds)) if queue.ready else ""
    serving = oversight.serving(queue.name, processes)
    return [
        Cell(queue.name),
        *(Cell(f"{count:,}", None if count else "dim") for count in counts),
        Cell(oldest),
        Cell(str(serving), None if serving or not queue.ready else "red"),
        paused,
    ]


def _of_schedule(schedule: Listed, now: datetime) -> list[Cell]:
    rule = schedule.crontab or f"every {words(schedule.every or timedelta(0))}"
    paused = schedule.paused_at is not None
    last = f"{age(schedule.last_tick, now)} {schedule.last_outcome}" if schedule.last_tick else ""
    if schedule.last_missed:
        last += f", {schedule.last_missed:,} missed"
    return [
        Cell(schedule.name),
        Cell(rule),
        Cell(schedule.timezone if schedule.crontab else ""),
        Cell("paused", "yellow") if paused else Cell(age(schedule.next_run_at, now) or "never"),
        Cell(last),
        Cell(schedule.job),
        Cell(schedule.last_error or "", "red"),
    ]


def _of_process(process: ProcessRow, now: datetime) -> list[Cell]:
    served = ", ".join(process.queues) if process.queues is not None else "every"
    state = Cell(process.state) if process.alive else Cell("dead", "red")
    worker = process.role == "worker"
    return [
        Cell(process.role + (" (leads)" if process.leads and process.alive else "")),
        Cell(f"{process.host}:{process.pid}"),
        state,
        Cell(f"{process.version}/{(process.commit or 'local')[:7]}"),
        Cell(served if worker else ""),
        Cell(f"{process.running}/{process.slots}" if worker else ""),
        Cell(_hears(process)),
        Cell(age(process.seen_at, now)),
        Cell(span(process.seen_at - process.started_at)),
    ]


def _hears(process: ProcessRow) -> str:
    if process.listening is None:
        return ""
    return "notification" if process.listening else "polling"
