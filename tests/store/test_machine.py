"""The protocol's own statements on a real Postgres, in every order that Hypothesis thinks of, beside a model in plain Python.

After each step the rows must be what the model says, to the last token; and each change of a state must stand in the table of transitions,
which is also what docs/concepts.md draws. The clock stands still but where a rule moves it.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from pillars.store import redriving
from pillars.store.ids import new_id
from pillars.store.rows import Claimed
from stepping import LOCK, Hand, define, hand
from support import tell
from transitions import NOTHING, TRANSITIONS

T = TypeVar("T")

WORKERS = 2
WAITS = {"released": None, "retried": timedelta(seconds=10), "snoozed": timedelta(seconds=18)}
MOVE = timedelta(seconds=9)
FINAL = ("completed", "failed", "cancelled")
MAX_CRASHES = 3
EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "25"))
PHASES = [
    phase for phase in Phase if phase is not Phase.shrink or "CHAOS_EXAMPLES" in os.environ
]  # to find the shortest story takes minutes: where somebody asked for it
STEPS = 40
ALLOWED = {(one.before, one.after) for one in TRANSITIONS}
CLOCK = """
    create schema stopped;
    create table stopped.clock (shown_at timestamptz not null);
    insert into stopped.clock values (date_trunc('second', now()));
    create or replace function pillars.now() returns timestamptz language sql stable
    return (select clock.shown_at from stopped.clock clock)
"""
EMPTY = "truncate pillars.jobs, pillars.locks, pillars.finished_jobs, pillars.attempts"
JOBS = "select job_id, state, lock_token, attempt, crashes, run_at from pillars.all_jobs"
PUT = """
    insert into pillars.jobs (job_id, name, queue, run_at, priority) select unnest($1::uuid[]), 'work', 'default', $2, $3
"""
LOCKS = "select lock_token, locked_by, expires_at, job_ids from pillars.locks"


@dataclass
class Job:
    """A job as the model has it. A final one keeps the token of the claim that ended it."""

    priority: int
    run_at: datetime
    token: int | None = None
    owner: UUID | None = None
    final: str | None = None
    attempt: int = 0
    crashes: int = 0
    asked_to_end: bool = False
    due_between: tuple[datetime, datetime] | None = None

    def back_after(self, now: datetime, wait: timedelta) -> None:
        """Due again after a wait, and up to as long again: the rows will tell."""
        self.run_at = now + wait
        self.due_between = (now + wait, now + 2 * wait)

    def see(self, run_at: datetime) -> None:
        """What the row says of when it is due, where the model leaves that open."""
        if self.due_between is not None:
            earliest, latest = self.due_between
            assert earliest <= run_at <= latest
            self.run_at, self.due_between = run_at, None

    def state(self, now: datetime) -> str:
        if self.final:
            return self.final
        if self.token:
            return "running"
        return "ready" if self.run_at <= now else "scheduled"

    def columns(self, now: datetime) -> tuple[object, ...]:
        """As a reader of the view sees them, after the id. A final job has no run_at."""
        run_at = None if self.final else self.run_at
        return self.state(now), self.token, self.attempt, self.crashes, run_at


@dataclass
class Lock:
    owner: UUID
    expires_at: datetime
    job_ids: frozenset[UUID]


@dataclass
class Model:
    """What the tables hold, if the protocol is as it is told."""

    now: datetime
    jobs: dict[UUID, Job] = field(default_factory=dict)
    locks: dict[int, Lock] = field(default_factory=dict)
    _noted: dict[tuple[UUID, int], set[str]] = field(default_factory=dict)

    def in_state(self, *states: str) -> list[UUID]:
        return [job_id for job_id, job in self.jobs.items() if job.state(self.now) in states]

    def urgency(self, job_id: UUID) -> tuple[int, datetime, UUID]:
        job = self.jobs[job_id]
        return -job.priority, job.run_at, job_id

    def chosen(self, which: int) -> tuple[UUID, Job]:
        return list(self.jobs.items())[which % len(self.jobs)]

    def holds(self, worker_id: UUID, claimed: Claimed) -> bool:
        job = self.jobs[claimed.job_id]
        return job.final is None and (job.token, job.owner) == (claimed.lock_token, worker_id)

    def note(self, job_id: UUID, token: int | None, outcome: str) -> None:
        if token is not None and outcome != "completed":
            self._noted.setdefault((job_id, token), set()).add(outcome)

    def noted(self, claimed: Claimed) -> set[str]:
        """What the rows of attempts say of a claim."""
        return self._noted.get((claimed.job_id, claimed.lock_token), set())

    def close(self, token: int) -> None:
        """The row of a claim goes with its last job."""
        held = {job_id for job_id, job in self.jobs.items() if job.token == token and not job.final}
        if token in self.locks and not held & self.locks[token].job_ids:
            del self.locks[token]


@dataclass(frozen=True)
class Late:
    """A claim that there was: it may still be spoken of, by the process that made it or by whoever is in its place now."""

    hand: Hand
    worker_id: UUID
    claimed: Claimed

    @contextmanager
    def spoken(self, *, by_heir: bool) -> Iterator[Hand]:
        now = self.hand.worker_id
        self.hand.worker_id = now if by_heir else self.worker_id
        yield self.hand
        self.hand.worker_id = now


class Protocol(RuleBasedStateMachine):
    """Workers that claim, end, give back, beat and die; what is said late is said all the same."""

    def __init__(self, db: str) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._hands: list[Hand] = []
        self._late: list[Late] = []
        self._model = Model(self._run(self._begun(db)))

    async def _begun(self, db: str) -> datetime:
        for _ in range(WORKERS):
            self._hands.append(await self._stack.enter_async_context(hand(db)))
        await self._ask(EMPTY)
        return cast("datetime", await self._ask("select pillars.now()"))

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._runner.close()

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(step)

    async def _ask(self, sql: str, *args: Any) -> Any:
        return await self._hands[0].ask(sql, *args)

    # What may happen.

    @rule(count=st.integers(1, 3), wait=st.sampled_from((0, 10)), priority=st.integers(0, 1))
    def enqueue(self, count: int, wait: int, priority: int) -> None:
        model, run_at = self._model, self._model.now + timedelta(seconds=wait)
        before = self._states()
        for job_id in self._run(self._put(count, run_at, priority)):
            model.jobs[job_id] = Job(priority, run_at)
        self._compare(before)

    async def _put(self, count: int, run_at: datetime, priority: int) -> list[UUID]:
        job_ids = [new_id() for _ in range(count)]
        await self._ask(PUT, job_ids, run_at, priority)
        return job_ids

    @rule(who=st.integers(0, WORKERS - 1), free=st.integers(1, 3))
    def claim(self, who: int, free: int) -> None:
        """The most urgent of those that are ready, as many as there is room for, under one new token."""
        model, before, worker = self._model, self._states(), self._hands[who]
        ready = sorted(model.in_state("ready"), key=model.urgency)[:free]
        claimed = self._run(worker.claim(free)).jobs
        assert [one.job_id for one in claimed] == ready
        for one in claimed:
            job = model.jobs[one.job_id]
            assert one.lock_token > max((late.claimed.lock_token for late in self._late), default=0)
            job.token, job.owner, job.attempt = one.lock_token, worker.worker_id, job.attempt + 1
            model.locks[one.lock_token] = Lock(worker.worker_id, model.now + LOCK, frozenset(ready))
        self._late += [Late(worker, worker.worker_id, one) for one in claimed]
        self._compare(before)

    @precondition(lambda self: self._late)
    @rule(
        which=st.integers(0, 99),
        state=st.sampled_from(FINAL),
        again=st.booleans(),
        by_heir=st.booleans(),
    )
    def finish(self, which: int, state: str, *, again: bool, by_heir: bool) -> None:
        """Now or late, once or again: only the claim that holds the job ends it, and a repeat knows itself."""
        late = self._spoken_of(which)
        with late.spoken(by_heir=by_heir) as worker:
            self._finish(worker, late.claimed, state, again=again)

    def _finish(self, worker: Hand, claimed: Claimed, state: str, *, again: bool) -> None:
        model, before = self._model, self._states()
        job, token = model.jobs[claimed.job_id], claimed.lock_token
        [answer] = self._run(worker.finish(claimed, state=state, last_of=[token], again=again))
        if model.holds(worker.worker_id, claimed):
            assert answer == "done"
            job.final = state
            model.note(claimed.job_id, token, state)
        elif again and job.token == token and job.final in (state, "completed"):
            assert answer == ("done" if job.final == state else "completed")
        else:
            assert answer == "lost"
        model.close(token)
        self._compare(before)

    @precondition(lambda self: self._late)
    @rule(
        which=st.integers(0, 99),
        how=st.sampled_from(tuple(WAITS)),
        again=st.booleans(),
        by_heir=st.booleans(),
    )
    def give_back(self, which: int, how: str, *, again: bool, by_heir: bool) -> None:
        late = self._spoken_of(which)
        with late.spoken(by_heir=by_heir) as worker:
            self._give_back(worker, late.claimed, how, again=again)

    def _give_back(self, worker: Hand, claimed: Claimed, how: str, *, again: bool) -> None:
        model, before = self._model, self._states()
        job, token = model.jobs[claimed.job_id], claimed.lock_token
        wait, counted = WAITS[how], how == "retried"
        [answer] = self._run(
            worker.put_back(
                claimed,
                outcome=how,
                wait=wait,
                given_back=not counted,
                last_of=[token],
                again=again,
            )
        )
        if model.holds(worker.worker_id, claimed):
            assert answer == "done"
            self._given_back(job, claimed, how)
        elif again and model.noted(claimed) & {how, "cancelled"}:
            assert answer == "done"
        elif again and job.token == token and job.final == "completed":
            assert answer == "completed"
        else:
            assert answer == "lost"
        model.close(token)
        self._compare(before)

    def _given_back(self, job: Job, claimed: Claimed, how: str) -> None:
        model, wait = self._model, WAITS[how]
        if job.asked_to_end:
            job.final = "cancelled"
            model.note(claimed.job_id, claimed.lock_token, "cancelled")
            return
        job.token, job.attempt = None, job.attempt - (how != "retried")
        job.run_at = job.run_at if wait is None else model.now + wait
        if how != "released":
            model.note(claimed.job_id, claimed.lock_token, how)

    @rule(who=st.integers(0, WORKERS - 1), forgets=st.sets(st.integers(0, 3)))
    def beat(self, who: int, forgets: set[int]) -> None:
        """It extends what it names and still has, and hears of the rest: of what is lost, and of what it did not know to be its own."""
        model, before, worker = self._model, self._states(), self._hands[who]
        claims = sorted({late.claimed.lock_token for late in self._late if late.hand is worker})
        named = {token for place, token in enumerate(reversed(claims)) if place not in forgets}
        own = {token for token, lock in model.locks.items() if lock.owner == worker.worker_id}
        heard = self._run(worker.beat(*named))
        assert (set(heard.extended), set(heard.lost), set(heard.unnamed)) == (
            named & own,
            named - own,
            own - named,
        )
        for token in named & own:
            model.locks[token].expires_at = model.now + LOCK
        self._compare(before)

    @rule(who=st.integers(0, WORKERS - 1))
    def die(self, who: int) -> None:
        """Another process takes the place, and knows of nothing; what the dead one had sent may still come."""
        self._hands[who].worker_id = uuid4()

    @rule()
    def sweep(self) -> None:
        """Of the claims whose locks have expired, each job is given back or, where it is to end or died too often, ended."""
        model, before = self._model, self._states()
        swept = self._run(self._hands[0].sweep())
        expired = {token for token, lock in model.locks.items() if lock.expires_at <= model.now}
        rescued = 0
        for job_id, job in model.jobs.items():
            if job.final or job.token not in expired:
                continue
            job.crashes += 1
            if job.asked_to_end or job.crashes >= MAX_CRASHES:
                job.final = "cancelled" if job.asked_to_end else "failed"
                model.note(job_id, job.token, job.final)
            else:
                rescued += 1
                model.note(job_id, job.token, "crashed")
                job.token, job.attempt = None, job.attempt - 1
                job.back_after(model.now, timedelta(seconds=2 ** (job.crashes - 1)))
        for token in expired:
            del model.locks[token]
        assert (swept.swept, swept.rescued) == (True, rescued)
        self._compare(before)

    @rule(who=st.integers(0, WORKERS - 1))
    def crash(self, who: int) -> None:
        """A worker claims, is never heard of again, and its jobs are rescued: what seldom comes about by single steps."""
        self.claim(who=who, free=3)
        self.die(who=who)
        self.time_passes(times=4)
        self.sweep()

    @rule(who=st.integers(0, WORKERS - 1), how=st.sampled_from((*WAITS, *FINAL)))
    def haunt(self, who: int, how: str) -> None:
        """Its jobs run elsewhere by then, and now it speaks."""
        known = len(self._late)
        self.crash(who=who)
        dead = self._late[known:]
        self.time_passes(times=1)
        self.claim(who=1 - who, free=3)
        for late in dead:
            with late.spoken(by_heir=False) as worker:
                if how in FINAL:
                    self._finish(worker, late.claimed, how, again=False)
                else:
                    self._give_back(worker, late.claimed, how, again=False)

    @precondition(lambda self: self._model.jobs)
    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        model, before = self._model, self._states()
        job_id, job = model.chosen(which)
        answer = self._run(self._hands[0].cancel(job_id))
        match job.state(model.now):
            case "running":
                assert answer == "requested"
                job.asked_to_end = True
            case "ready" | "scheduled":
                assert answer == "cancelled"
                job.final = "cancelled"
            case _:
                assert answer == "final"
        self._compare(before)

    @precondition(lambda self: self._model.jobs)
    @rule(which=st.integers(0, 99))
    def retry(self, which: int) -> None:
        model, before = self._model, self._states()
        job_id, job = model.chosen(which)
        refused = self._run(redriving.retry(self._hands[0].session, job_id)).refused
        match job.state(model.now):
            case "failed" | "cancelled":
                model.jobs[job_id] = Job(job.priority, model.now)
            case "scheduled":
                job.run_at = model.now
            case "running" | "completed":
                assert refused
        self._compare(before)

    @rule(times=st.integers(1, 4))
    def time_passes(self, times: int) -> None:
        before = self._states()
        self._model.now += MOVE * times
        self._run(self._ask("update stopped.clock set shown_at = $1", self._model.now))
        self._compare(before)

    # What must then hold.

    def _states(self) -> dict[UUID, str]:
        return {job_id: job.state(self._model.now) for job_id, job in self._model.jobs.items()}

    def _compare(self, before: dict[UUID, str]) -> None:
        """The rows are as the model has them, and no state changed in a way that the table of transitions does not have."""
        model = self._model
        jobs, locks = self._run(self._rows())
        assert len(jobs) == len(model.jobs), "some job is in two places, or in none"
        for job_id, state, *columns in jobs:
            job = model.jobs[job_id]
            job.see(columns[-1])
            assert (state, *columns) == job.columns(model.now)
            was = before.get(job_id, NOTHING)
            assert state == was or (was, state) in ALLOWED
        assert {token: (owner, at, frozenset(ids)) for token, owner, at, ids in locks} == {
            token: (lock.owner, lock.expires_at, lock.job_ids)
            for token, lock in model.locks.items()
        }

    def _spoken_of(self, which: int) -> Late:
        """A claim that there was; half of them of jobs that have not ended, where there is more to break."""
        open_ones = [late for late in self._late if not self._model.jobs[late.claimed.job_id].final]
        some = open_ones if which % 2 and open_ones else self._late
        return some[which // 2 % len(some)]

    async def _rows(self) -> tuple[list[Any], list[Any]]:
        connection = self._hands[0].session.connection
        return await connection.fetch(JOBS), await connection.fetch(LOCKS)


@pytest.mark.slow
def test_the_statements_do_what_the_model_says_in_any_order(db: str) -> None:
    with asyncio.Runner() as runner:
        runner.run(define(db, max_crashes=MAX_CRASHES))
        runner.run(tell(db, CLOCK))

    class OnThisDatabase(Protocol):
        def __init__(self) -> None:
            super().__init__(db)

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, phases=PHASES
        ),
    )
