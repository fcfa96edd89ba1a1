"""Taking jobs: which, how many, and from where in each lane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pillars.store.rows import Claimed, ClaimRow, Lane
from pillars.store.session import Executor
from pillars.store.statements import Statement

CLAIM = Statement("jobs/claim", ClaimRow)
CLAIM_LANE = Statement("jobs/claim_lane", ClaimRow)
LANES = Statement("jobs/lanes", Lane)

CLAIM_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a worker asks for: jobs of these names, up to its free slots."""

    worker_id: UUID
    lock: timedelta
    names: Sequence[str]
    free: int
    queues: Mapping[str, int | None] | None = None
    """The only queues served, each with its own free slots where it has a limit; None: every queue."""
    above: int = 0
    """The highest token that the worker was given: the next is higher, also on a server that has lost the last ones."""

    @property
    def limited(self) -> bool:
        """Whether a short claim may have left due jobs for want of their queue's slots."""
        return any(free is not None for free in (self.queues or {}).values())


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a demand."""

    jobs: list[Claimed]
    next_in: timedelta | None
    """How long until the next scheduled job, where the claim came back short and there is one."""
    contended: bool
    """Others took or changed some of what was picked: there may be more."""
    now: datetime | None = None
    """The time of record at which a claim over all lanes looked."""
    took: timedelta = timedelta(0)
    """On the server, without the way there and back."""


Place = tuple[datetime, UUID]
FRONT: Place = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))  # before every job
LAST_ID = UUID(int=2**128 - 1)


@dataclass(slots=True)
class Places:
    """Where the last claim ended in each lane, so that the next need not read what lies dead before it. Empty: the front of all."""

    after: dict[Lane, Place] = field(default_factory=dict)

    def remember(self, jobs: Sequence[Claimed]) -> None:
        last = {(job.queue, job.priority): job for job in jobs}  # in a lane they come in order
        for (queue, priority), job in last.items():
            self._advance(Lane(queue, priority), (job.run_at, job.job_id))

    def pass_over(self, lanes: Sequence[Lane], now: datetime) -> None:
        """Nothing of ours is due in these lanes until `now`."""
        for lane in lanes:
            self._advance(lane, (now, LAST_ID))

    def _advance(self, lane: Lane, place: Place) -> None:
        self.after[lane] = max(self.after.get(lane, place), place)

    def lanes(self) -> tuple[list[str], list[int]]:
        return [lane.queue for lane in self.after], [lane.priority for lane in self.after]

    def columns(self) -> tuple[list[str], list[int], list[datetime], list[UUID]]:
        return (
            *self.lanes(),
            [run_at for run_at, _ in self.after.values()],
            [job_id for _, job_id in self.after.values()],
        )


async def claim(executor: Executor, demand: Demand, places: Places) -> Claim:
    """Take up to `demand.free` jobs from the lanes that have a place, behind it; without any, from the front of all lanes."""
    queues = None if demand.queues is None else list(demand.queues)
    slots = None if demand.queues is None else list(demand.queues.values())
    rows = await executor.rows(
        CLAIM, demand.worker_id, demand.lock, demand.names, demand.free, queues, slots, *places.columns(), demand.above,
        timeout=CLAIM_TIMEOUT,
    )  # fmt: skip
    return _claim(rows)


async def claim_in_lanes(executor: Executor, demand: Demand, places: Places) -> Claim:
    """Take jobs lane by lane, locking in the lane: slower, but never short because others were faster."""
    taken: list[Claimed] = []
    contended = False
    left = dict(demand.queues or {})
    for lane in await lanes(executor, demand, places):
        of_queue = left.get(lane.queue)
        free = min(demand.free - len(taken), demand.free if of_queue is None else of_queue)
        if free <= 0:
            continue
        rows = await executor.rows(
            CLAIM_LANE, demand.worker_id, demand.lock, demand.names, free, lane.queue, lane.priority,
            *places.after.get(lane, FRONT), demand.above,
            timeout=CLAIM_TIMEOUT,
        )  # fmt: skip
        found = _claim(rows)
        taken += found.jobs
        contended = contended or found.contended
        if of_queue is not None:
            left[lane.queue] = of_queue - len(found.jobs)
    return Claim(taken, None, contended)


async def lanes(executor: Executor, demand: Demand, places: Places) -> list[Lane]:
    """The lanes that have a place, or without any, all; those of the queues served that are not paused, highest priority first."""
    queues = None if demand.queues is None else list(demand.queues)
    return await executor.rows(LANES, queues, *places.lanes())


def _claim(rows: Sequence[ClaimRow]) -> Claim:
    counted = rows[0]
    jobs: list[Claimed] = [*rows[1:]]
    picked, now, took = counted.picked or 0, counted.now, counted.took or timedelta(0)
    next_in = None if counted.next_run_at is None or now is None else counted.next_run_at - now
    return Claim(jobs, next_in, len(jobs) < picked, now, took)
