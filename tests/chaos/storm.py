"""C1 and C4: jobs, some longer than the lock, some in processes of their own, while workers are killed, frozen and cut off, Postgres crashes, people
pause and cancel, and browsers follow; then nothing is lost or done twice, and all was heard once."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from pooling import free_port

from chaos import recording
from chaos.clients import MIXED, Clients, child, thread
from chaos.crowd import LEFT, UNMEASURED, Crowd
from chaos.faults import Faults, Weather
from chaos.following import Followers
from chaos.history import History, violations
from chaos.pausing import Pausing
from chaos.report import Report
from chaos.server import LOST, served
from process.relay import Relay, relayed
from support import ask, until

LOCK = 2.0  # seconds, the shortest there is
DRAIN = 2.0
LEAVING = 30.0  # seconds; a hang limit
CALM = 90.0  # seconds after the last fault until the last job must have ended: one that crashed n times waits 2^n
FAULTS = (*["kill"] * 5, *["freeze"] * 2, *["crash"] * 2, *["cut"] * 2)
CALM_AFTER = "seconds until the last job had ended"
OF_WEB = ("kill", "freeze", "reset", "silence")
OF_WEB_EVERY = (1.5, 4.0)  # seconds
FOLLOWED = 0.3  # of the long jobs
TOKEN = "the-token-of-a-chaos-run"
ALL_TOLD = 30.0  # seconds after the last job has ended
PARTITIONS = (*["silence"] * 3, *["reset"] * 2)
NOTHING_LEFT = (
    "select not exists (select from pillars.jobs) and not exists (select from pillars.locks)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How much of it. `long_share` of the jobs take so many seconds as `long` says, the others up to 20 ms."""

    seed: int
    jobs: int = 6_000
    seconds: float = 60.0
    workers: int = 4
    long_share: float = 0.08
    long: tuple[float, float] = (1, 4)
    pause: tuple[float, float] = (0.3, 0.9)
    faults: tuple[str, ...] = FAULTS

    @property
    def weather(self) -> Weather:
        return Weather(
            seed=self.seed, seconds=self.seconds, pause=self.pause, frozen=(LOCK * 1.1, LOCK * 1.75), faults=self.faults,
        )  # fmt: skip

    @property
    def weather_of_web(self) -> Weather:
        return Weather(
            seed=self.seed + 1, seconds=self.seconds, pause=OF_WEB_EVERY, frozen=(LOCK * 0.5, LOCK * 1.75), faults=OF_WEB,
        )  # fmt: skip


async def storm(plan: Storm, folder: Path) -> Report:
    """Run one, and see what the clients, the code, the followers and the rows say of it."""
    runs = folder / "runs"
    runs.mkdir()
    port = free_port()
    async with (
        served(folder) as server,
        ways(server.url, plan.workers) as relays,
        relayed(server.url) as of_web,
        Followers(plan.seed, port, TOKEN, share=FOLLOWED).running() as followers,
    ):
        clients = Clients(
            plan.seed, count=plan.jobs, seconds=plan.seconds, long_share=plan.long_share, long=plan.long, of=MIXED,
            follow=followers.follow,
        )  # fmt: skip
        pausing = Pausing(plan.seed, clients.asked, [thread.name, child.name])
        crowd = Crowd(folder, [relay.url for relay in relays], ("worker",), environment(runs))
        web = Crowd(folder, [of_web.url], ("web",), browsed(port))
        async with crowd.running(), web.running():
            async with anyio.create_task_group() as group:
                group.start_soon(pausing.run, server.url)
                async with anyio.create_task_group() as raging:
                    raging.start_soon(clients.run, server.url)
                    raging.start_soon(Faults(plan.weather, server, crowd, relays).rage)
                    raging.start_soon(Faults(plan.weather_of_web, server, web, [of_web]).rage)
                pausing.over = True
            calm_at = anyio.current_time()
            await settled(server.url, CALM)
            took = anyio.current_time() - calm_at
            await all_told(followers)
            codes = [*await crowd.leave(LEAVING), *await web.leave(LEAVING)]
        seen = await recording.history(
            server.url, runs, clients.asked, clients.cancels, killed=crowd.killed, heard=followers.heard
        )  # fmt: skip
    figures = {
        **counted(seen), **crowd.counted, **clients.figures, **pausing.figures, **followers.figures,
        **{f"web: {what}": count for what, count in web.counted.items()},
        "events heard": sum(map(len, followers.heard.values())), CALM_AFTER: round(took),
    }  # fmt: skip
    left = [f"a process left with {code}" for code in codes if code not in LEFT]
    return Report(figures, [*crowd.strange, *web.strange, *left, *followers.broken, *told(seen)])


async def all_told(followers: Followers) -> None:
    """Wait until each follower has heard the end. Where one does not, it is told of."""
    with suppress(AssertionError):
        await until(lambda: not followers.following, within=ALL_TOLD)
    followers.broken.extend(
        f"job {job_id}: its follower never heard the end" for job_id in followers.following
    )


@asynccontextmanager
async def ways(url: str, count: int) -> AsyncIterator[list[Relay]]:
    """So many ways to the database, each a wire that can be cut."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(relayed(url)) for _ in range(count)]


def environment(runs: Path) -> dict[str, str]:
    """What a worker is given."""
    return {
        "CHAOS_RUNS": str(runs), "PILLARS_LOCK": f"{LOCK}s", "PILLARS_DRAIN": f"{DRAIN}s", **UNMEASURED,
    }  # fmt: skip


def browsed(port: int) -> dict[str, str]:
    """What a web process is given."""
    return {"PORT": str(port), "PILLARS_VIEW_TOKEN": TOKEN, **UNMEASURED}


async def settled(url: str, within: float) -> None:
    """Wait until nothing is left. Where something is, the history will tell of what."""
    with suppress(AssertionError):
        await until(lambda: nothing_left(url), within=within)


async def nothing_left(url: str) -> bool:
    """Whether no job is unfinished, and no lock is held."""
    with suppress(*LOST):
        return bool(await ask(url, NOTHING_LEFT))
    return False


def counted(seen: History) -> dict[str, int]:
    """The figures of a history."""
    begun = Counter(run.job_id for run in seen.runs)
    return {
        "jobs": len(seen.of_job),
        "runs": len(seen.runs),
        "jobs run more than once": sum(count > 1 for count in begun.values()),
        "rescues": sum(event.swept and event.what in {"freed", "gone"} for event in seen.events),
        "cancels": len(seen.cancels),
        "children whose worker was killed": sum(run.parent in seen.killed for run in seen.runs),
    }


def told(seen: History) -> list[str]:
    """Each broken promise, with the history of the job that shows it in the fewest lines."""
    shortest: dict[str, str] = {}
    for violation in violations(seen):
        story = f"{violation.rule}: job {violation.job_id}: {violation.said}\n{seen.told(violation.job_id)}"
        if len(story) < len(shortest.get(violation.rule, story + " ")):
            shortest[violation.rule] = story
    return list(shortest.values())
