"""What is done in a world, each with the statements that it runs, and who runs them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import asyncpg
from faults.striking import CANCELLED, KINDS, UNDONE, UNKNOWN, hung_up, lost
from faults.world import World, fail, plain, ticked, work
from roles.protecting import context

from chaos.history import Asked
from pillars import connection, enqueue_many, every
from pillars.errors import (
    DatabaseTrouble,
    JobEnded,
    NotSent,
    Trouble,
    UnknownJob,
    UnknownSchedule,
    UsageError,
)  # fmt: skip
from pillars.service.pruning import Pruner
from pillars.store import (
    accounts,
    audit,
    claiming,
    diagnosis,
    health,
    job_events,
    jobs,
    listing,
    migrate,
    names,
    naming,
    queues,
    redriving,
    schedules,
    standings,
    stats,
    workers,
)  # fmt: skip
from pillars.store.claiming import Demand, Places
from pillars.store.ids import new_id
from pillars.store.listing import Wanted
from pillars.store.migrate import Migration
from pillars.store.session import Executor, Session
from stepping import NOBODY
from support import until

ROOT = Path(__file__).parent.parent.parent
DRIVERS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What travels as it is out of a transaction of the caller's own."""
DAILY = [every("1d", ticked, name=f"faults.daily{number:02}") for number in range(60)]
OLD = "create table pillars.{0} (like pillars.finished_completed including all); alter table pillars.finished_completed attach partition pillars.{0} for values from ('{1} 00:00+00') to ('{1} 23:59+00')"
LISTENER = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
LEADER = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'pillars leader'"
ALL = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'pillars%'"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Doing = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do, and the statements that may be struck while it is done, each with who runs it: "client", "worker", "cron" or "nobody"."""

    do: Doing
    points: Mapping[str, str]
    nths: tuple[int, ...]
    """Which execution of a statement is struck, one after another."""
    quiet: Collection[str]
    """The kinds of fault of which no client is told: it is repeated for him."""

    @property
    def name(self) -> str:
        return self.do.__name__


@dataclass(slots=True)
class Group:
    """Works that are done one after another in one world."""

    works: list[Work] = field(default_factory=list)

    def __call__(
        self,
        *names: str,
        by: str = "client",
        nths: tuple[int, ...] = (1,),
        quiet: Collection[str] = (),
    ) -> Callable[[Doing], Doing]:
        """Enter a function."""

        def entered(do: Doing) -> Doing:
            self.works.append(Work(do, dict.fromkeys(names, by), nths, quiet))
            return do

        return entered


REPEATED = UNDONE | UNKNOWN
enqueues, attempts, serving, upkeep, ticking, people, deploys, pooled = (Group() for _ in range(8))


# Enqueues


@enqueues("jobs/enqueue_telling", quiet=REPEATED)
async def one(w: World) -> None:
    await w.enqueue()


@enqueues("jobs/enqueue", quiet=REPEATED)
async def later(w: World) -> None:
    handle = await w.enqueue(run_in="1h")
    await redriving.hasten(w.database.pool, handle._id)


@enqueues("jobs/enqueue_many", "jobs/notify", by="nobody", quiet=REPEATED)
async def crowd(w: World) -> None:
    await asyncio.gather(*(w.enqueue() for _ in range(6)))


@enqueues("jobs/enqueue_many", quiet=UNDONE)
async def some(w: World) -> None:
    await _many(w, 3)


@enqueues("jobs/insert_jobs", quiet=UNDONE)
async def some_with_one_key(w: World) -> None:
    await _many(w, 3, unique_key=f"some {w.case}")


@enqueues("jobs/now", "copy", quiet=UNDONE)
async def copied(w: World) -> None:
    await _many(w, 6)


@enqueues("jobs/enqueue_within", quiet=REPEATED)
async def keyed(w: World) -> None:
    await w.enqueue(unique_key=f"keyed {w.case}")


@enqueues(
    "begin", "jobs/enqueue_again", "jobs/find_unique", "commit", quiet=set(KINDS) - {CANCELLED}
)
async def again_what_had_arrived(w: World) -> None:
    w.points.arm("jobs/enqueue_within", lost)
    handle = await w.enqueue(unique_key=f"again {w.case}", run_in="1h")  # not to have ended by then
    await redriving.hasten(w.database.pool, handle._id)


@enqueues("begin", "jobs/enqueue_again", "jobs/take_back", "commit", quiet=set(KINDS) - {CANCELLED})
async def again_what_had_not(w: World) -> None:
    w.points.arm("jobs/enqueue_within", hung_up)
    await w.enqueue(unique_key=f"again {w.case}")


@enqueues("begin", "jobs/insert_jobs", "commit", "reset")
async def in_a_transaction(w: World) -> None:
    async def ask() -> None:
        number = w.number()
        try:
            async with connection() as mine:
                handle = await work.configure(connection=mine).enqueue(number)
        except BaseException as error:
            w.asked.append(Asked(number=number, job_id=None))
            if isinstance(error, DRIVERS):
                raise DatabaseTrouble(Trouble.LOST, str(error)) from error
            raise
        w.asked.append(Asked(number=number, job_id=handle.job_id))

    await w.insists(ask)


@enqueues("begin", "session/act", "audit/note_system", "commit", "reset")
async def as_the_system(w: World) -> None:
    async def ask() -> None:
        number = w.number()
        try:
            async with context(f"acts {number}").system("why") as mine:
                handle = await work.configure(connection=mine).enqueue(number)
        except BaseException:
            w.asked.append(Asked(number=number, job_id=None))
            raise
        w.asked.append(Asked(number=number, job_id=handle.job_id))

    await w.insists(ask)


@enqueues("rollback", "reset")
async def rolled_back(w: World) -> None:
    async def ask() -> None:
        number = w.number()
        w.undone.add(number)
        with suppress(ZeroDivisionError):
            async with connection() as mine:
                await work.configure(connection=mine).enqueue(number)
                raise ZeroDivisionError

    await w.insists(ask)


async def _many(w: World, count: int, **options: Any) -> None:
    async def ask() -> None:
        numbers = [w.number() for _ in range(count)]
        told: list[str | None] = [None] * count
        try:
            handles = await enqueue_many(work.configure(**options).call(n) for n in numbers)
            told = [handle.job_id for handle in handles]
        finally:
            w.asked += [Asked(number=n, job_id=one) for n, one in zip(numbers, told, strict=True)]

    await w.insists(ask)


# Attempts


@attempts("jobs/claim", "jobs/finish", by="worker")
async def run(w: World) -> None:
    await w.enqueue()


@attempts("job_events/write", by="worker")
async def said(w: World) -> None:
    await w.enqueue("say")


@attempts("job_messages/untaken", "job_messages/remove", by="worker")
async def spoken_to(w: World) -> None:
    handle = await w.enqueue("listen")
    await w.insists(lambda: handle.send("go on", by="a fault"))
    await w.struck()
    await w.insists(lambda: handle.send("end", by="a fault"))


@attempts("job_messages/send")
async def sent(w: World) -> None:
    handle = await w.enqueue("listen")
    with suppress(NotSent):  # the first had arrived, and the job has read it and ended
        await w.insists(lambda: handle.send("end", by="a fault"))


@attempts("job_events/newest", by="worker")
async def remembered(w: World) -> None:
    await w.enqueue("remember")


@attempts("jobs/put_back", by="worker")
async def retried(w: World) -> None:
    await w.enqueue("retry")


@attempts("jobs/put_back", by="worker")
async def snoozed(w: World) -> None:
    await w.enqueue("snooze")


@attempts("jobs/finish", "jobs/put_back", by="worker")
async def failed(w: World) -> None:
    await w.insists(lambda: fail.enqueue("error"))


@attempts("jobs/finish", by="worker")
async def discarded(w: World) -> None:
    await w.insists(lambda: fail.enqueue("discard"))


@attempts("begin", "jobs/complete", "commit", "reset", by="worker")
async def completed_inside(w: World) -> None:
    await w.enqueue("complete inside")


@attempts("locks/held", "history/make_days", "jobs/put_back", by="worker")
async def recovered(w: World) -> None:
    w.points.arm("jobs/claim", lost)
    await w.enqueue()


@attempts("jobs/lanes", "jobs/claim_lane", by="worker")
async def contended(w: World) -> None:
    """A job that a claim picks, and that somebody else has locked meanwhile."""
    lane = f"lane{w.number()}"
    handle = await w.enqueue(run_in="1h", queue=lane)
    await w.insists(lambda: queues.pause(w.database.pool, lane))
    await w.eye.execute("update pillars.jobs set run_at = now() where job_id = $1", handle._id)
    other = await plain(w.url)
    try:
        async with other.transaction():
            await other.execute("select from pillars.jobs where job_id = $1 for update", handle._id)
            await w.insists(lambda: queues.resume(w.database.pool, lane))
            await w.struck()
    finally:
        await other.close()


@serving("locks/beat", by="worker")
async def beaten(w: World) -> None:
    await _while_one_runs(w, w.struck)


@attempts("jobs/cancel")
async def cancelled_while_it_runs(w: World) -> None:
    w.let = anyio.Event()
    handle = await w.enqueue("wait")
    await until(lambda: handle._id in w.worker.running())
    await w.stops(handle._id)


@attempts("jobs/rest", by="worker")
async def rested(w: World) -> None:
    w.let = anyio.Event()
    handle = await w.enqueue("rest")
    await until(lambda: handle._id in w.worker.running())
    await w.insists(lambda: jobs.pause(w.database.pool, handle._id, by="a fault"))
    await w.struck()
    rests = "select paused_at from pillars.jobs where job_id = $1"
    await until(lambda: w.eye_sees(rests, handle._id))
    await w.insists(lambda: jobs.resume(w.database.pool, handle._id))
    w.let.set()


@attempts("jobs/cancel")
async def cancelled_before(w: World) -> None:
    await w.stops((await w.enqueue(run_in="1h"))._id)


@attempts("jobs/outcomes", by="nobody")
async def awaited(w: World) -> None:
    handle = await w.enqueue()
    assert (await handle.result(timeout="20s"))["number"]


@serving("workers/appear", by="worker")
async def forgotten(w: World) -> None:
    """Its row is gone, as that of a process that was frozen for long."""
    worker_id = w.worker.process.worker_id
    await w.eye.execute("delete from pillars.workers where worker_id = $1", worker_id)
    await w.struck()
    await until(lambda: w.shown(w.worker.process.worker_id))


@serving("listen", "workers/prove", by="worker")
async def deaf(w: World) -> None:
    await w.eye.execute(LISTENER)
    await w.struck()
    await until(lambda: w.worker.listener.proved)


@serving(
    "history/make_days", "definitions/define", "workers/appear", "workers/leave", "workers/prove", "listen", by="worker",
)  # fmt: skip
async def replaced(w: World) -> None:
    await w.restart("worker")
    await w.struck()


@serving("jobs/put_back", "workers/leave", by="worker")
async def replaced_while_one_runs(w: World) -> None:
    await _while_one_runs(w, lambda: w.restart("worker"))


async def _while_one_runs(w: World, do: Callable[[], Awaitable[None]]) -> None:
    w.let = anyio.Event()
    handle = await w.enqueue("wait")
    await until(lambda: handle._id in w.worker.running())
    await do()
    w.let.set()


# Upkeep


@upkeep("locks/sweep", by="worker")
async def rescued(w: World) -> None:
    """A job of a worker that died."""
    await _died(w)


@upkeep("stats/count", by="worker")
async def counted(w: World) -> None:
    await w.struck()


@upkeep("history/next_prune", "history/be_patient", "alter table", "drop table")
async def pruned(w: World) -> None:
    number = w.number()
    day = f"{2001 + number // 28}-01-{1 + number % 28:02}"
    name = f"finished_completed_{day.replace('-', '')}"
    await w.eye.execute(OLD.format(name, day))
    for _ in range(3):  # what is in the way is gone on with at another turn
        await w.insists(Pruner(w.worker.process).prune_once)
    assert await w.eye.fetchval("select to_regclass($1)", f"pillars.{name}") is None, (
        "an old day stays"
    )


@upkeep("connect", by="worker", nths=(1, 2, 3, 4, 5))
async def cut_off(w: World) -> None:
    """All connections end at once, and everybody makes new ones; twice where they have shared one."""
    await w.eye.execute(ALL)
    await w.enqueue()
    if not w.was_struck:
        await w.eye.execute(ALL)
    await w.struck()
    await w.enqueue()


@upkeep("pooler/answer", by="client")
async def explored(w: World) -> None:
    """The first connection of a process finds out what stands before the server."""
    w.database.address.route.pooled = None

    async def ask() -> None:
        session = await w.database.address.connect()
        await session.close()

    await w.insists(ask)
    assert w.database.address.route.pooled is False


async def _died(w: World) -> None:
    handle = await w.enqueue(run_in="1h")
    async with w.eye.transaction():
        await w.eye.execute("update pillars.jobs set run_at = now() where job_id = $1", handle._id)
        demand = Demand(worker_id=uuid4(), lock=timedelta(seconds=30), names=[work.name], free=1)
        claim = await claiming.claim(Session(w.eye), demand, Places())
        assert [job.job_id for job in claim.jobs] == [handle._id]
        await w.eye.execute(
            "update pillars.locks set expires_at = now() where lock_token = $1",
            claim.jobs[0].lock_token,
        )


# Ticking


@ticking("schedules/read", "schedules/tick", by="cron")
async def due(w: World) -> None:
    await _due(w)


@ticking("schedules/fail", by="cron")
async def unreadable(w: World) -> None:
    name = w.daily()

    async def spoilt() -> bool:
        """A cron that begins anew, after the case before, syncs its schedules, and so mends this one."""
        await w.eye.execute(
            """update pillars.schedules set every = null, crontab = '61 * * * *', next_run_at = date_trunc('day', now(), 'UTC')
               where name = $1 and crontab is distinct from '61 * * * *'""",
            name,
        )
        return w.was_struck

    await until(spoilt)
    await w.eye.execute(
        "update pillars.schedules set every = '1 day', crontab = null, next_run_at = now() + interval '1 day' where name = $1",
        name,
    )


@ticking("schedules/free", by="cron")
async def freed(w: World) -> None:
    handle = await w.enqueue(run_in="1h")
    await w.eye.execute(
        "update pillars.jobs set parked = true, waiting_for = 'job ' || $2::uuid, run_at = now() where job_id = $1",
        handle._id, new_id(),
    )  # fmt: skip


@ticking("schedules/lead", "schedules/prune", "schedules/read", by="cron")
async def elected_again(w: World) -> None:
    await w.eye.execute(LEADER)
    await w.struck()
    await until(lambda: w.cron.process.leads)


@ticking(
    "schedules/resign", "definitions/define", "jobs/now", "schedules/sync", "schedules/remove", "begin", "commit",
    "workers/appear", "workers/leave", by="cron",
)  # fmt: skip
async def cron_replaced(w: World) -> None:
    assert w.strike is not None
    await until(lambda: w.cron.process.leads)
    await w.restart("cron")
    while not w.strike.hit:  # one that the server has just cut off has nothing to resign
        await until(lambda: w.cron.process.leads)
        await w.restart("cron")
    await until(lambda: w.cron.process.leads)
    await _due(w)


@ticking("schedules/run_now", "jobs/inspect", "begin", "commit")
async def run_by_hand(w: World) -> None:
    name = w.daily()
    assert await w.insists(lambda: schedules.made_now(w.database.pool, name, new_id()))


@ticking("schedules/pause", "schedules/resume")
async def paused(w: World) -> None:
    name = w.daily()
    await w.insists(lambda: schedules.pause(w.database.pool, name))
    assert (await schedules.find(w.database.pool, name)).paused_at is not None
    await w.insists(lambda: schedules.resume(w.database.pool, name))
    assert (await schedules.find(w.database.pool, name)).paused_at is None


@ticking("schedules/names")
async def misspelt(w: World) -> None:
    async def ask() -> None:
        with suppress(UnknownSchedule):
            await schedules.pause(w.database.pool, "nobody's")

    await w.insists(ask)


@pooled("schedules/tick_pooled", by="cron")
async def due_by_turns(w: World) -> None:
    await _due(w)


@pooled("pooler/answer", by="worker")
async def asked_before_a_sweep(w: World) -> None:
    await _died(w)


@pooled("pooler/arrays", "pooler/answer", by="worker")
async def settled_in(w: World) -> None:
    await w.eye.execute(ALL)
    await w.struck()
    await w.enqueue()


async def _due(w: World) -> None:
    """A tick of a schedule of this work's own; its job is counted once all is over."""
    name = w.daily()
    w.ticked.add(name)
    await w.eye.execute(
        "update pillars.schedules set next_run_at = date_trunc('day', now(), 'UTC') where name = $1",
        name,
    )
    await until(
        lambda: w.eye_sees("select exists (select from pillars.ticks where schedule = $1)", name)
    )


# What people do


@people("jobs/cancel_many")
async def many_cancelled(w: World) -> None:
    handles = [await w.enqueue(run_in="1h") for _ in range(3)]
    for handle in handles:
        w.cancels[handle.job_id] = "no answer"
    ids = [handle._id for handle in handles]
    await w.insists(lambda: jobs.cancel_many(w.database.pool, ids, by="a fault"))


@people("jobs/pause", "jobs/resume", "jobs/pause_many", "jobs/resume_many")
async def jobs_paused(w: World) -> None:
    pool = w.database.pool
    ids = [(await w.enqueue(run_in="1h"))._id for _ in range(2)]
    await w.insists(lambda: jobs.pause(pool, ids[0], by="a fault"))
    await w.insists(lambda: jobs.pause_many(pool, ids, by="a fault"))
    for job_id in ids:
        assert await w.eye_sees("select paused_at from pillars.jobs where job_id = $1", job_id)
    await w.insists(lambda: jobs.resume(pool, ids[0]))
    await w.insists(lambda: jobs.resume_many(pool, ids))
    for job_id in ids:
        await w.stops(job_id)


@people("jobs/redrive")
async def redriven(w: World) -> None:
    await _redriven(w, lambda ids: redriving.redrive(w.database.pool, ids[0]), 1)


@people("jobs/redrive_many")
async def many_redriven(w: World) -> None:
    await _redriven(w, lambda ids: redriving.redrive_many(w.database.pool, ids), 2)


@people("jobs/hasten")
async def hastened(w: World) -> None:
    handle = await w.enqueue(run_in="1h")
    await w.insists(lambda: redriving.hasten(w.database.pool, handle._id))


@people("jobs/hasten_many")
async def many_hastened(w: World) -> None:
    ids = [(await w.enqueue(run_in="1h"))._id for _ in range(2)]
    await w.insists(lambda: redriving.retry_many(w.database.pool, ids))


@people("queues/pause", "queues/resume", "queues/is_known", "queues/find", "queues/list")
async def queue_paused(w: World) -> None:
    pool, lane = w.database.pool, f"lane{w.number()}"
    handle = await w.enqueue(run_in="1h", queue=lane)
    await w.insists(lambda: queues.pause(pool, lane))
    assert (await w.insists(lambda: queues.find(pool, lane))).paused_at is not None
    await w.insists(lambda: queues.resume(pool, lane))
    assert [one for one in await w.insists(lambda: queues.listed(pool)) if one.name == lane]
    await w.stops(handle._id)


@people("names/pause", "names/resume", "names/find", "names/list")
async def name_paused(w: World) -> None:
    pool, name = w.database.pool, fail.name
    await w.insists(lambda: names.pause(pool, name, by="ada"))
    assert (await w.insists(lambda: names.find(pool, name))).paused_at is not None
    await w.insists(lambda: names.resume(pool, name))
    assert [one for one in await w.insists(lambda: names.listed(pool)) if one.name == name]


async def _redriven(w: World, do: Callable[[list[UUID]], Awaitable[object]], count: int) -> None:
    handles = [await w.insists(lambda: fail.enqueue("discard")) for _ in range(count)]
    for handle in handles:
        with suppress(JobEnded):
            await handle.result(timeout="20s")
    await w.insists(lambda: do([handle._id for handle in handles]))


# What is only read


async def _unknown(executor: Executor) -> None:
    with suppress(UnknownJob):
        await jobs.state(executor, new_id())


def _paged(state: str | None, **said: Any) -> Callable[[Executor], Awaitable[object]]:
    return lambda executor: listing.page(executor, Wanted(state=state, **said))


def _glanced(state: str | None, **said: Any) -> Callable[[Executor], Awaitable[object]]:
    return lambda executor: listing.glances(executor, Wanted(state=state, **said))


def _ids(state: str) -> Callable[[Executor], Awaitable[object]]:
    return lambda executor: listing.ids(executor, Wanted(state=state))


async def _named_ids(executor: Executor) -> None:
    async for _ in names.unfinished(executor, "x"):
        pass


READS: dict[str, Callable[[Executor], Awaitable[object]]] = {
    "jobs/state": _unknown,
    "jobs/inspect": lambda executor: listing.find(executor, new_id()),
    "jobs/inspect_cut": lambda executor: listing.find(executor, new_id(), longest=10),
    "jobs/list_all": _paged(None),
    "jobs/list_final": _paged("failed"),
    "jobs/list_unfinished": _paged("ready"),
    "jobs/list_among": _paged("running"),
    "jobs/glance_all": _glanced(None),
    "jobs/glance_final": _glanced("failed"),
    "jobs/glance_unfinished": _glanced("ready"),
    "jobs/glance_among": _glanced("running"),
    "jobs/ids_final": _ids("failed"),
    "jobs/ids_unfinished": _ids("ready"),
    "jobs/ids_running": _ids("running"),
    "jobs/ids_parked": _ids("waiting"),
    "jobs/reached_all": _paged(None, name="x"),
    "jobs/reached_completed": _paged("completed", name="x"),
    "jobs/reached_ended": _paged("failed", name="x"),
    "jobs/reached_parked": _paged("waiting", name="x"),
    "jobs/reached_unfinished": _paged("ready", name="x"),
    "jobs/attempts": lambda executor: listing.attempts(executor, new_id(), newest=3),
    "jobs/attempts_cut": lambda executor: listing.attempts(executor, new_id(), newest=3, longest=9),
    "jobs/circumstances": lambda executor: listing.circumstances(executor, new_id()),
    "jobs/defaults": lambda executor: naming.defaults(executor, "faults.work"),
    "jobs/defined_names": naming.defined_names,
    "schedules/listed": schedules.listed,
    "workers/list": workers.listed,
    "workers/is_known": lambda executor: workers.is_known(executor, NOBODY),
    "health/look": health.vitals,
    "names/paused": names.paused,
    "names/newest": lambda executor: names.newest(executor, "x"),
    "names/unfinished": _named_ids,
    "stats/look": stats.stats,
    "jobs/standing": lambda executor: standings.standings(executor, [new_id()]),
    "jobs/unfinished_of": lambda executor: standings.unfinished_of(executor, ["a"], [], limit=3),
    "job_events/position": job_events.position,
    "job_events/after": lambda executor: job_events.after(executor, 0, LONG_AGO, 3),
    "job_events/of_jobs": lambda executor: job_events.of_jobs(
        executor, {NOBODY: 0}, up_to=9, made_since=LONG_AGO, limit=3
    ),
    "job_events/floors": lambda executor: job_events.floors(
        executor, [NOBODY], made_since=LONG_AGO, wanted=3
    ),
    "job_events/bounds": job_events.bounds,
    "job_events/newest": lambda executor: job_events.newest(executor, [NOBODY], LONG_AGO),
    "job_events/lines": lambda executor: job_events.lines(executor, new_id(), datetime.now(UTC), 9),
    "diagnosis/server": diagnosis.server,
    "diagnosis/identity": diagnosis.identity,
    "diagnosis/role": diagnosis.role,
    "diagnosis/holders": diagnosis.holders,
    "diagnosis/tables": diagnosis.tables,
    "diagnosis/days": diagnosis.days,
    "diagnosis/expired": lambda executor: diagnosis.expired(executor, longer_than=timedelta(0)),
    "diagnosis/overdue": lambda executor: diagnosis.overdue(executor, longer_than=timedelta(0)),
    "diagnosis/waiting": lambda executor: diagnosis.waiting(executor, longer_than=timedelta(0)),
    "diagnosis/names": diagnosis.names,
}


@people(
    "accounts/add", "accounts/find", "accounts/list", "accounts/any", "accounts/set_password", "accounts/remove",
    "sessions/open", "sessions/find", "sessions/close", "logins/count", "logins/fail", "audit/write", "audit/list", "audit/prune",
)  # fmt: skip
async def logged_in(w: World) -> None:
    """Somebody gets an account, logs in, out and away; what had happened already says so."""
    pool, name, digest = w.database.pool, f"p{w.number()}", uuid4().bytes
    opening = accounts.Opening(
        digest=digest, account=name, scope="view", seal=b"seal", before=None, actor=name, address=None
    )  # fmt: skip

    async def added() -> None:
        with suppress(UsageError):
            await accounts.add(pool, name, scope="view", password_hash="one")

    async def opened() -> None:
        if await accounts.find_session(pool, digest) is None:
            await accounts.open_session(pool, opening)

    async def removed() -> None:
        with suppress(UsageError):
            await accounts.remove(pool, name)

    await w.insists(added)
    assert await w.insists(lambda: accounts.find(pool, name)) is not None
    assert name in {one.name for one in await w.insists(lambda: accounts.listed(pool))}
    assert await w.insists(lambda: accounts.are_any(pool))
    await w.insists(lambda: accounts.set_password(pool, name, "other"))
    await w.insists(lambda: accounts.count(pool, [name]))
    await w.insists(lambda: accounts.note_failure(pool, name, None))
    await w.insists(opened)
    assert await w.insists(lambda: accounts.find_session(pool, digest)) is not None
    await w.insists(lambda: accounts.close_session(pool, digest, actor=name, address=None))
    assert await accounts.find_session(pool, digest) is None
    await w.insists(removed)
    assert await accounts.find(pool, name) is None
    await w.insists(
        lambda: audit.write(pool, audit.Deed(actor=name, action="queue.pause", target="default"))
    )
    trail = await w.insists(lambda: audit.listed(pool, limit=100))
    assert name in {one.actor for one in trail}
    await w.insists(lambda: audit.prune(pool))


@people(*READS)
async def read(w: World) -> None:
    assert w.strike is not None
    looked = READS[w.strike.name]
    await w.insists(lambda: looked(w.database.pool))


@people("diagnosis/backend", "diagnosis/echo", "listen", "unlisten")
async def examined(w: World) -> None:
    """As `app doctor` does, over a connection of its own."""

    async def ask() -> None:
        session = await w.database.direct.connect()
        try:
            await diagnosis.round_trip(session)
            await diagnosis.echo(session, w.database.pool)
        finally:
            await session.close()

    await w.insists(ask)


# Deploys


@deploys(
    "ledger/exists", "ledger/applied", "ledger/take_turn", "ledger/be_brief", "ledger/record", "ledger/prepare", "begin", "commit",
    "create table", "history/make_days",
)  # fmt: skip
async def migrated(w: World) -> None:
    await _migrated(w, "create table public.made{} ()")


@deploys("ledger/hold_turn", "ledger/invalid", "ledger/end_turn", "create table")
async def migrated_outside(w: World) -> None:
    await _migrated(w, f"{migrate.OUTSIDE}\ncreate table if not exists public.made{{}} ()")


async def _migrated(w: World, sql: str) -> None:
    """One more migration of the app's; after trouble it is run again, and again there is nothing left to do."""
    applied = migrate.in_folder("app", ROOT / "sql" / "app")
    number = len(applied) + len(w.migrations) + 1
    w.migrations.append(Migration("app", number, f"{number:04}_made", sql.format(number)))
    known = [*migrate.of_runtime(), *applied, *w.migrations]
    await w.insists(lambda: migrate.migrate(w.database.direct, known))
    assert await migrate.migrate(w.database.direct, known) == []
    assert await w.eye.fetchval("select to_regclass($1)", f"public.made{number}") is not None


GROUPS: Mapping[str, Group] = {
    "enqueues": enqueues, "attempts": attempts, "serving": serving, "upkeep": upkeep, "ticking": ticking, "people": people, "deploys": deploys,
    "pooled": pooled,
}  # fmt: skip
