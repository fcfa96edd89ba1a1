"""C9: the primary dies, becomes read-only, or falls silent, and its standby is promoted; then every process goes on at the new one."""

import math
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import httpx2
from pooling import free_port

from chaos import recording
from chaos.clients import Clients
from chaos.crowd import LEFT, UNMEASURED, Crowd
from chaos.history import History
from chaos.nodes import OF_OURS, Node, nodes
from chaos.report import Report
from chaos.server import Server
from chaos.storm import LEAVING, counted, settled, told
from chaos.ticking import MISSING, SCHEDULES, caught_up, twice
from process.relay import relayed
from support import ask, asking, until

LOCK = 15.0  # seconds, the shortest of which prod does not warn: a failover fits within
LAG = 0.5  # seconds for which a standby is behind when it is promoted
CALM = 40.0  # seconds; a hang limit
RESUMED = "seconds until jobs ran again"
LEFT_BEHIND = "seconds until the read-only server was left"
DONE_SINCE = "select exists (select from pillars.finished_jobs where started_at > $1)"
TICKS = """
    select tick.schedule, tick.tick::text, tick.outcome, count(*) as rows,
           sum((select count(*) from chaos.events made where made.what = 'made' and made.job_id = tick.job_id))::int as jobs
    from pillars.ticks tick group by tick.schedule, tick.tick, tick.outcome
"""
STRAYS = """
    select finished.context from pillars.finished_jobs finished
    where finished.name = 'storm.beat' and not exists (select from pillars.ticks tick where tick.job_id = finished.job_id)
"""


Strike: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """How much of it. Where it `loses`, the standby is asynchronous."""

    seed: int
    jobs: int = 2_000
    seconds: float = 22.0
    workers: int = 2
    crons: int = 2
    loses: bool = False
    long_share: float = 0.05


@dataclass
class Fleet:
    """Every kind of process, each at the database by the same URL."""

    url: str
    folder: Path
    plan: Failover
    port: int = field(default_factory=free_port)
    crowds: list[Crowd] = field(default_factory=list)

    async def start(self, stack: AsyncExitStack) -> None:
        environ = {
            "CHAOS_RUNS": str(self.folder / "runs"),
            "PILLARS_LOCK": f"{LOCK}s",
            **UNMEASURED,
        }
        for words, count, more in (
            (("web",), 1, {"PORT": str(self.port), "HOST": "127.0.0.1"}),
            (("worker",), self.plan.workers, {"PILLARS_DRAIN": "5s"}),
            (("cron",), self.plan.crons, {}),
        ):
            crowd = Crowd(self.folder, [self.url] * count, words, environ | more)
            self.crowds.append(await stack.enter_async_context(crowd.running()))

    @property
    def pids(self) -> list[int]:
        return [member.app.process.pid for crowd in self.crowds for member in crowd.members]

    async def health(self) -> str:
        """What web says of the database, of the workers and of who leads, by their own rows."""
        async with httpx2.AsyncClient() as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.port}/api/health")
            except httpx2.HTTPError as error:
                return f"{type(error).__name__}: {error}"
        return answer.text

    async def is_well(self) -> bool:
        return '"status":"ok","role"' in await self.health()

    async def leave(self, last: Node) -> list[str]:
        """End all, those that make jobs first, and the others when no job is left; returns what was wrong with it."""
        codes: list[int | None] = []
        for crowd in reversed(self.crowds):
            codes += await crowd.leave(LEAVING)
            await settled(last.url, CALM)
        strange = [line for crowd in self.crowds for line in crowd.strange]
        return strange + [f"a process left with {code}" for code in codes if code not in LEFT]


async def failover(plan: Failover, folder: Path) -> Report:
    """Three times, while jobs are enqueued and schedules tick: the primary dies, is made read-only, and falls silent.

    The processes know two places. The first server is reached by a relay, which accepts and hangs up where the server is dead.
    """
    figures: Counter[str] = Counter()
    async with nodes(folder) as (one, other), relayed(one.url) as way:
        await other.follow(one)
        await one.wait_for_standby("remote_apply")
        url = f"postgresql://app@127.0.0.1:{way.port},{other.place}/dev?target_session_attrs=read-write"

        async def strike() -> None:
            await rest(plan)
            await one.stop()
            await taken_over(other, figures)
            await one.follow(other)
            await other.wait_for_standby("on")
            await rest(plan)
            await other.set("default_transaction_read_only", "on")
            await taken_over(one, figures)
            began = anyio.current_time()
            await until(lambda: left(other))
            longest(figures, LEFT_BEHIND, anyio.current_time() - began)
            await other.stop()
            await other.follow(one)
            await one.wait_for_standby("on")
            await rest(plan)
            way.blackhole()
            await one.stop()
            await taken_over(other, figures)

        return await raged(Fleet(url, folder, plan), strike, other, figures)


async def moved(plan: Failover, folder: Path) -> Report:
    """One address that moves from the dead primary to its asynchronous standby, which lacks the last of what was acknowledged."""
    figures: Counter[str] = Counter()
    async with (
        nodes(folder) as (one, other),
        relayed(one.url) as way,
        relayed(one.url) as stream,
    ):
        await other.follow(one, port=stream.port)

        async def strike() -> None:
            await rest(plan)
            stream.blackhole()  # what is written from here on is lost
            await anyio.sleep(LAG)
            await one.stop()
            stream.cut()
            way.lead_to(other.url)  # where one can only read for the moment
            await taken_over(other, figures)

        return await raged(Fleet(way.url, folder, plan), strike, other, figures)


async def raged(fleet: Fleet, strike: Strike, last: Node, figures: Counter[str]) -> Report:
    """Have jobs enqueued and schedules tick while it strikes, and look at what is there in the end, at `last`."""
    plan, runs = fleet.plan, fleet.folder / "runs"
    runs.mkdir()
    clients = Clients(plan.seed, count=plan.jobs, seconds=plan.seconds, long_share=plan.long_share)
    async with AsyncExitStack() as stack:
        await fleet.start(stack)
        pids = fleet.pids
        async with anyio.create_task_group() as group:
            group.start_soon(clients.run, fleet.url)
            group.start_soon(strike)
        await until(lambda: caught_up(last.url), within=CALM)
        with suppress(AssertionError):
            await until(fleet.is_well, within=CALM)
        said = await fleet.health()
        replaced = len(set(fleet.pids) - set(pids))
        broken = await fleet.leave(last)
    seen = await recording.history(last.url, runs, clients.asked, clients.cancels)
    if plan.loses:
        seen = surviving(seen, figures)
    broken += [] if '"status":"ok","role"' in said else [f"health is {said}"]
    broken += [f"{replaced} processes ended and were replaced"] if replaced else []
    broken += await ticked(last, figures)
    return Report({**counted(seen), **clients.figures, **figures}, [*broken, *told(seen)])


async def rest(plan: Failover) -> None:
    """Let them work for a while."""
    await anyio.sleep(plan.seconds / 5)


async def taken_over(node: Node, figures: Counter[str]) -> None:
    """Promote it, and wait until jobs that began since have ended."""
    await node.promote()
    figures["failovers"] += 1
    await resumed(node, figures)


async def resumed(node: Node, figures: Counter[str]) -> None:
    """Wait until jobs that began from here on have ended."""
    began = anyio.current_time()
    since = await ask(node.url, "select clock_timestamp()")
    await until(lambda: ask(node.url, DONE_SINCE, since))
    longest(figures, RESUMED, anyio.current_time() - began)


async def left(node: Node) -> bool:
    """Whether no process of ours is connected to it."""
    return bool(await ask(node.url, OF_OURS) == 0)


def longest(figures: Counter[str], what: str, seconds: float) -> None:
    figures[what] = max(figures[what], round(seconds))


async def ticked(node: Node | Server, figures: Counter[str]) -> list[str]:
    """What is wrong with the ticks, from the first to the last."""
    async with asking(node.url) as connection:
        ticks = await connection.fetch(TICKS)
        missing = await connection.fetch(MISSING)
        strays = await connection.fetch(STRAYS)
    figures["ticks"] = len(ticks)
    broken = [f"{schedule} has no tick at {due}" for schedule, due in missing]
    broken += [f"a job without a tick: {context}" for (context,) in strays]
    schedules = {tick["schedule"] for tick in ticks}
    broken += [f"only {sorted(schedules)} have ticked"] if len(schedules) != SCHEDULES else []
    return broken + twice(ticks)


def surviving(seen: History, figures: Counter[str]) -> History:
    """What the promoted server can know of: the rest is counted, as what an asynchronous standby loses."""
    asked = [one for one in seen.asked if one.job_id is None or one.job_id in seen.of_job]
    claims = {
        (event.job_id, event.token): event.began_at
        for event in seen.events
        if event.what in {"claimed", "taken"}
    }
    # Another worker may be given a token of a claim that is lost: what began before is that claim's.
    runs = [
        run for run in seen.runs if run.began_at > claims.get((run.job_id, run.token), math.inf)
    ]
    ended = {event.job_id: event.state for event in seen.events if event.what == "ended"}
    cancels = {
        job_id: answer
        for job_id, answer in seen.cancels.items()
        if job_id in seen.of_job and (answer != "cancelled" or ended.get(job_id) == answer)
    }
    figures["acknowledged enqueues lost"] = len(seen.asked) - len(asked)
    figures["runs of lost claims"] = len(seen.runs) - len(runs)
    figures["acknowledged cancels lost"] = len(seen.cancels) - len(cancels)
    return replace(seen, asked=asked, runs=runs, cancels=cancels)
