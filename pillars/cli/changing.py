"""`app jobs retry`, `cancel`, `pause` and `resume`: by id, or all that options describe."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol
from uuid import UUID

import click

from pillars.cli import opening, saying
from pillars.cli.ending import DONE, FAILED, STOPPED, Misuse, arguments
from pillars.cli.looking import filters, said
from pillars.cli.opening import Opened
from pillars.cli.recording import actor, record_after
from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.jobs.handle import checked_id
from pillars.store import jobs, listing, oversight, redriving
from pillars.store.listing import Wanted
from pillars.store.rows import JobRow
from pillars.store.session import Executor

BATCH = 200  # jobs of one statement: none waits long behind it, and little is lost when it is cut
IDS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one id: a line, and whether it was done."""

    line: str
    done: bool
    job: JobRow | None


class Act(Protocol):
    """What is done to jobs: to one, or to a batch, of which it counts what became."""

    verb: str
    past: str
    counted: tuple[str, ...]

    async def one(self, executor: Executor, job_id: UUID) -> Outcome: ...
    async def batch(self, executor: Executor, job_ids: Sequence[UUID]) -> Counter[str]: ...
    def told(self, counts: Counter[str]) -> str: ...


class Retry:
    """Failed, cancelled and expired jobs run again, scheduled ones now."""

    verb, past = "retry", "retried"
    counted: tuple[str, ...] = ("retried", "left")

    async def one(self, executor: Executor, job_id: UUID) -> Outcome:
        retried = await redriving.retry(executor, job_id)
        if retried.refused:
            return Outcome(f"{job_id} not retried: {retried.refused}", False, retried.job)
        return Outcome(f"{job_id} {retried.job.state}", True, retried.job)

    async def batch(self, executor: Executor, job_ids: Sequence[UUID]) -> Counter[str]:
        done = await redriving.redrive_many(executor, job_ids)
        return Counter(retried=done, left=len(job_ids) - done)

    def told(self, counts: Counter[str]) -> str:
        left = f"; {counts['left']:,} not: their unique key is held, or another retried them first"
        return f"{counts['retried']:,} retried{left if counts['left'] else ''}"


class Cancel:
    """Unfinished jobs end; those that run are asked to."""

    verb, past = "cancel", "cancelled"
    counted: tuple[str, ...] = ("cancelled", "requested", "left")

    async def one(self, executor: Executor, job_id: UUID) -> Outcome:
        answer = await jobs.cancel(executor, job_id, by=actor())
        job = await listing.find(executor, job_id)
        match answer:
            case "cancelled":
                return Outcome(f"{job_id} cancelled", True, job)
            case "requested":
                return Outcome(f"{job_id} asked to stop: it is running", True, job)
            case "final" if job is not None:
                return Outcome(f"{job_id} not cancelled: it is {job.state}", False, job)
        raise UnknownJob.gone(job_id)

    async def batch(self, executor: Executor, job_ids: Sequence[UUID]) -> Counter[str]:
        answers = Counter(await jobs.cancel_many(executor, job_ids, by=actor()))
        return Counter(
            cancelled=answers["cancelled"],
            requested=answers["requested"],
            left=answers["final"] + answers["unknown"],
        )

    def told(self, counts: Counter[str]) -> str:
        asked = f", {counts['requested']:,} asked to stop" if counts["requested"] else ""
        left = f"; {counts['left']:,} not: they had ended" if counts["left"] else ""
        return f"{counts['cancelled']:,} cancelled{asked}{left}"


class Pause:
    """Unfinished jobs are not begun; those that run are asked to rest."""

    verb, past = "pause", "paused"
    counted: tuple[str, ...] = ("paused", "requested", "left")

    async def one(self, executor: Executor, job_id: UUID) -> Outcome:
        answer = await jobs.pause(executor, job_id, by=actor())
        job = await listing.find(executor, job_id)
        match answer:
            case "paused":
                return Outcome(f"{job_id} paused", True, job)
            case "requested":
                said = f"{job_id} asked to pause: it is running, and rests at its next checkpoint"
                return Outcome(said, True, job)
            case "final" if job is not None:
                return Outcome(f"{job_id} not paused: it is {job.state}", False, job)
        raise UnknownJob.gone(job_id)

    async def batch(self, executor: Executor, job_ids: Sequence[UUID]) -> Counter[str]:
        answers = Counter(await jobs.pause_many(executor, job_ids, by=actor()))
        return Counter(
            paused=answers["paused"],
            requested=answers["requested"],
            left=answers["final"] + answers["unknown"],
        )

    def told(self, counts: Counter[str]) -> str:
        asked = f", {counts['requested']:,} asked to pause" if counts["requested"] else ""
        left = f"; {counts['left']:,} not: they had ended" if counts["left"] else ""
        return f"{counts['paused']:,} paused{asked}{left}"


class Resume:
    """Paused jobs go on."""

    verb, past = "resume", "resumed"
    counted: tuple[str, ...] = ("resumed", "left")

    async def one(self, executor: Executor, job_id: UUID) -> Outcome:
        answer = await jobs.resume(executor, job_id)
        job = await listing.find(executor, job_id)
        match answer:
            case "resumed":
                return Outcome(f"{job_id} resumed", True, job)
            case "unpaused" if job is not None:
                return Outcome(f"{job_id} was not paused: it is {job.state}", True, job)
            case "final" if job is not None:
                return Outcome(f"{job_id} not resumed: it is {job.state}", False, job)
        raise UnknownJob.gone(job_id)

    async def batch(self, executor: Executor, job_ids: Sequence[UUID]) -> Counter[str]:
        answers = Counter(await jobs.resume_many(executor, job_ids))
        return Counter(resumed=answers["resumed"], left=len(job_ids) - answers["resumed"])

    def told(self, counts: Counter[str]) -> str:
        left = f"; {counts['left']:,} not: they were not paused any more"
        return f"{counts['resumed']:,} resumed{left if counts['left'] else ''}"


def change(
    act: Act, job_ids: Sequence[str], *, states: Sequence[str], name: str | None, queue: str | None,
    tag: str | None, yes: bool, as_json: bool,
) -> int:  # fmt: skip
    """Do it to the jobs of these ids, or else to all that the options describe."""
    described = bool(states or name or queue or tag)
    if job_ids and described:
        raise Misuse(f"{act.verb}: expected ids, or options that describe jobs; got both")
    if job_ids:
        with arguments():
            checked = list(dict.fromkeys(map(checked_id, job_ids)))
        return opening.run(partial(_each, act, checked, as_json=as_json), command="jobs")
    if not states:
        example = "failed" if act.verb == "retry" else "ready"
        given = said(filters(state=None, name=name, queue=queue, tag=tag)).strip()
        raise Misuse(
            f"{act.verb}: expected ids, or --state (such as --state {example}); got {given or 'neither'}"
        )
    wanted = [
        filters(state=state, name=name, queue=queue, tag=tag) for state in dict.fromkeys(states)
    ]
    return _Bulk(act, wanted).run(yes=yes, as_json=as_json)


async def _each(act: Act, job_ids: Sequence[UUID], opened: Opened, *, as_json: bool) -> int:
    """Every id, whatever became of the one before it."""
    outcomes: list[Outcome] = []
    for job_id in job_ids:
        outcome = await _one(act, opened.database.pool, job_id)
        outcomes.append(outcome)
        if outcome.done:
            await record_after(opened.database.pool, f"job.{act.verb}", job_id)
        if not outcome.done:
            saying.tell(outcome.line)
        elif not as_json:
            saying.lines([outcome.line])
    if as_json:
        saying.items(listing.as_json(one.job) for one in outcomes if one.job is not None)
    return DONE if all(outcome.done for outcome in outcomes) else FAILED


async def _one(act: Act, executor: Executor, job_id: UUID) -> Outcome:
    try:
        return await act.one(executor, job_id)
    except UnknownJob as error:
        return Outcome(f"{job_id} not {act.past}: {error}", False, None)


@dataclass(slots=True)
class _Bulk:
    """All jobs that some options describe. Each batch is done whole or not at all, so it may be stopped, and run again."""

    act: Act
    wanted: Sequence[Wanted]
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = Counter(dict.fromkeys(self.act.counted, 0))

    def run(self, *, yes: bool, as_json: bool) -> int:
        job_ids = opening.run(self._find, command="jobs")
        if job_ids and not yes:
            _ask(f"{self.act.verb} {saying.counted(len(job_ids), 'job')} ({self._said().strip()})?")
        try:
            if job_ids:
                opening.run(partial(self._work, job_ids), command="jobs")
        except (KeyboardInterrupt, DatabaseTrouble) as cause:
            # A batch whose answer did not come may have been carried out.
            told = f"at least {self.act.told(self.counts)} of {len(job_ids):,}"
            saying.tell(f"stopped: {told}; what was done stays done, run it again for the rest")
            if isinstance(cause, DatabaseTrouble):
                raise
            return STOPPED
        if as_json:
            saying.document({"matched": len(job_ids), **self.counts})
        elif job_ids:
            saying.tell(self.act.told(self.counts))
        else:
            saying.tell(f"no jobs match{self._said()}")
        return DONE

    async def _find(self, opened: Opened) -> list[UUID]:
        """All that match now: those are meant, not what comes to match while one works through them."""
        pool = opened.database.pool
        found = [job_id for wanted in self.wanted for job_id in await _ids(pool, wanted)]
        if not found:
            await oversight.require_known(pool, self.wanted[0], thorough=True)
        return found

    async def _work(self, job_ids: Sequence[UUID], opened: Opened) -> None:
        hidden = not sys.stderr.isatty()
        pool = opened.database.pool
        with click.progressbar(length=len(job_ids), file=sys.stderr, hidden=hidden) as bar:
            for at in range(0, len(job_ids), BATCH):
                batch = job_ids[at : at + BATCH]
                counts = await self.act.batch(pool, batch)
                # A row a batch: what was done before a Ctrl-C is written down, too.
                await record_after(
                    pool, f"job.{self.act.verb}", jobs=self._said().strip(), **counts
                )
                self.counts.update(counts)
                bar.update(len(batch))

    def _said(self) -> str:
        states = "".join(f" --state {one.state}" for one in self.wanted)
        return states + said(replace(self.wanted[0], state=None))


def _ask(question: str) -> None:
    """Outside the event loop, which would take Ctrl-C for itself."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Misuse(f"{question} say so with --yes")
    click.confirm(question, abort=True, err=True)


async def _ids(executor: Executor, wanted: Wanted) -> list[UUID]:
    found: list[UUID] = []
    page: list[UUID] | None = None
    while page is None or len(page) == IDS_AT_ONCE:
        after = page[-1] if page else None
        page = await listing.ids(executor, replace(wanted, older_than=after, limit=IDS_AT_ONCE))
        found += page
    return found
