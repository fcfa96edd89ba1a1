"""The drain in other designs than the runtime's, by bare loops: what was measured before one was chosen. docs/why.md says what came of it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from pillars.store.definitions import Definition, define
from pillars.store.session import Session

from ..drains import Drain
from ..filling import check_history, check_none_left, fill, fill_raw
from ..meter import measured
from ..processes import program
from ..running import Bench, Workload
from ..server import Database
from ..trials import statements
from ..waiting import until_ran

JOBS = 60_000
FEW = 20  # jobs: what a claim of a worker with few slots brings
JOBS_BY_FEW = 15_000
OF_THE_RUNTIME = "of the runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One design: how its connections take turns, how it claims, and how much."""

    role: str = "in_turn"
    way: str | None = "in the row"
    """None where the role has but one."""
    batch: int = 200
    connections: int | None = 2
    """None where the role has as many as it needs."""
    durable: bool | None = None
    """Whether claims wait for their commits; None where the role does not ask."""
    fillfactor: int = 50

    async def measure(self, bench: Bench) -> dict[str, float]:
        said: dict[str, Any] = {
            "way": self.way, "batch": self.batch, "connections": self.connections, "durable": self.durable,
        }  # fmt: skip
        arguments = {name: value for name, value in said.items() if value is not None}
        ours = self.way == OF_THE_RUNTIME
        marks = bench.marks(bench.jobs(JOBS if self.batch > FEW else JOBS_BY_FEW))
        async with bench.database() as database:
            await database.connection.execute(statements()["create trials"])
            await database.connection.execute(
                f"alter table raw.jobs set (fillfactor = {self.fillfactor})"
            )
            if ours:
                await define_noop(database)
                await fill(database, marks.jobs, name="noop")
            else:
                await fill_raw(database, marks.jobs)
            await database.settle()
            async with (
                program(
                    "trials", self.role, url=database.url, environ=marks.environ, **arguments
                ) as loop,
                measured(database, [loop.pid]) as cost,
            ):
                loop.start()
                await until_ran(marks, marks.jobs)
                await loop.answer()
            marks.check()
            await check_none_left(database, "pillars.jobs" if ours else "raw.jobs")
            await (check_history if ours else check_raw)(database, marks.jobs)
            return cost.per_job(marks.jobs)


async def define_noop(database: Database) -> None:
    """As a worker does before its first claim, so that claims find what they look up."""
    noop = Definition(
        name="noop", kind="async", queue="default", priority=0, max_attempts=4, max_crashes=3,
        timeout=timedelta(minutes=15), keep="full", tags=[],
    )  # fmt: skip
    await define(Session(database.connection), [noop], deployment=str(uuid4()))


async def check_raw(database: Database, jobs: int) -> None:
    """Raise unless the raw loop's history has each job once, and no lease is left."""
    found = await database.connection.fetchrow(
        "select count(*), count(distinct job_id), count(started_at), (select count(*) from raw.leases) from raw.history"
    )
    if tuple(found) != (jobs, jobs, jobs, 0):
        raise AssertionError(
            f"of {jobs} jobs the history has {tuple(found)}: rows, ids, begun, leases"
        )


def apart(*, way: str = "in the row", durable: bool = True, batch: int = 200) -> Trial:
    return Trial(role="apart", way=way, batch=batch, connections=None, durable=durable)


def fused(*, connections: int, batch: int = 200) -> Trial:
    return Trial(role="fused", way=None, batch=batch, connections=connections)


BY_TWENTY = {
    "20 at a time": Trial(batch=FEW),
    "20, claims and finishes apart": apart(batch=FEW),
    "20, apart, claims committed asynchronously": apart(batch=FEW, durable=False),
    "20, finish and claim in one": fused(connections=2, batch=FEW),
}
TRIALS = Workload(
    "trials",
    "the drain in other designs, by bare loops",
    {
        "raw": Drain().raw,
        "one connection": Trial(connections=1).measure,
        "fillfactor 100": Trial(fillfactor=100).measure,
        "claims and finishes apart": apart().measure,
        "apart, claims committed asynchronously": apart(durable=False).measure,
        "finish and claim in one": fused(connections=2).measure,
        "finish and claim in one, one connection": fused(connections=1).measure,
        "batch lease": Trial(way="leased", fillfactor=100).measure,
        **{name: trial.measure for name, trial in BY_TWENTY.items()},
        "the runtime's statements, apart": apart(way=OF_THE_RUNTIME).measure,
        "pillars": Drain().pillars,
    },
    against={name: "20 at a time" for name in BY_TWENTY if name != "20 at a time"},
    on_request=True,
)
