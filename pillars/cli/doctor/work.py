"""Checks of the processes and of the work: who is alive, what waits and why, what has gone wrong."""

from datetime import timedelta

from pillars.cli.doctor.finding import Finding, fail, in_prod, ok, some, warn
from pillars.cli.doctor.subject import Subject
from pillars.cli.saying import counted
from pillars.durations import words
from pillars.store import diagnosis, schedules as store
from pillars.store.diagnosis import Waiting
from pillars.store.rows import ProcessRow
from pillars.version import __version__

WAITED = timedelta(minutes=1)  # longer than the longest poll
OVERDUE = timedelta(minutes=1)  # a leader ticks on time, and another takes over within seconds


async def workers(subject: Subject) -> Finding:
    """There are workers, they hear of work, and none has died unseen."""
    alive = subject.of_role("worker")
    if not alive:
        return in_prod(subject, "no worker is alive: nothing runs", fix="start one: app worker")
    deaf = [_named(one) for one in alive if one.listening is False]
    if deaf:
        return warn(
            f"{some(deaf)} cannot hear of work and only polls",
            fix="see database.listen and database.pooler",
        )
    died = [one for one in subject.processes if not one.alive]
    if died:
        return warn(
            f"{some([_named(one) for one in died])} ended without a word",
            fix="see the platform's log of it: out of memory? killed before its drain was over?",
        )
    return ok(f"{len(alive)} alive with {sum(one.slots for one in alive)} slots")


async def versions(subject: Subject) -> Finding:
    """All processes run this code."""
    commit = (subject.settings.git_commit_sha or "local")[:7]
    others = [one for one in subject.alive if (one.version, one.commit) != (__version__, commit)]
    if others:
        told = [f"{_named(one)} runs {one.version} {one.commit}" for one in others]
        return warn(
            f"{some(told)}; this code is {__version__} {commit}",
            fix="finish the deploy, or restart those processes",
        )
    return ok(f"{len(subject.alive)} processes run {__version__} {commit}")


async def locks(subject: Subject) -> Finding:
    """The jobs of dead workers are given back."""
    told = subject.settings
    patience = told.sweep_standing + 2 * told.sweep
    found = await diagnosis.expired(subject.database, longer_than=patience)
    if found.locks:
        return fail(
            f"{found.jobs} jobs of {found.locks} claims are held by locks that expired up to {_short(found.late)} ago",
            fix="start a worker, which rescues them within seconds",
        )
    return ok("no expired lock is left")


async def overdue(subject: Subject) -> Finding:
    """Code ends by its deadline."""
    found = await diagnosis.overdue(subject.database, longer_than=subject.settings.sweep)
    if not found:
        return ok("no job runs on past its deadline")
    evidence = some([f'{one.jobs} of "{one.name}" by {_short(one.late)}' for one in found])
    return warn(
        f"code goes on past its deadline, with its slot: {evidence}",
        fix="give its I/O timeouts of its own, and let CancelledError travel; a restart of the worker ends it",
    )


async def waiting(subject: Subject) -> Finding:
    """Work that is ready is taken."""
    found = await diagnosis.waiting(subject.database, longer_than=WAITED)
    if not found:
        return ok(f"no job has been ready for over {words(WAITED)}")
    first = found[0]
    evidence = some([f"{_waits(one)}: {why_waits(one)}" for one in found])
    fix = remedy(first)
    if any(not one.paused and not one.workers for one in found):
        return in_prod(subject, evidence, fix=fix)
    return warn(evidence, fix=fix)


async def names(subject: Subject) -> Finding:
    """Somebody's code knows the name of every job that waits, and nobody has paused it."""
    ours, known = subject.settings.deployment, subject.code.registry.known
    trusted = not subject.code.report.problems
    unknown, gone = [], []
    found = await diagnosis.names(subject.database)
    for one in found:
        if one.deployment is None:
            unknown.append(f'{one.jobs} of "{one.name}"')
        elif trusted and one.deployment == ours and one.name not in known:
            gone.append(f'{one.jobs} of "{one.name}"')
    fix = "deploy the code that defines it, or cancel them: app jobs cancel"
    if unknown:
        return warn(f"jobs that no process has ever defined: {some(unknown)}", fix=fix)
    if gone:
        return warn(f"jobs that {ours} no longer defines: {some(gone)}", fix=fix)
    if paused := [one for one in found if one.paused]:
        evidence = some([f'{one.jobs} of "{one.name}"' for one in paused])
        resume = f"app names resume {paused[0].name}"
        return warn(f"jobs of paused names: {evidence}", fix=resume)
    return ok("every job that waits is defined")


async def leader(subject: Subject) -> Finding:
    """Where there are schedules, one cron process leads."""
    planned = [one for one in await store.listed(subject.database) if one.paused_at is None]
    alive = subject.of_role("cron")
    leading = [one for one in alive if one.leads]
    if not planned:
        return ok("no schedule is to be ticked")
    if not alive:
        return in_prod(
            subject,
            f"{counted(len(planned), 'schedule')}, and no cron process is alive{_last_leader(subject)}",
            fix="start one: app cron",
        )
    if len(leading) == 1:
        stands = f", {len(alive) - 1} stand by" if len(alive) > 1 else ""
        return ok(
            f"{_named(leading[0])} leads, started {_short(_age(leading[0]))} before it was last seen{stands}"
        )
    if not leading:
        return warn(
            f"{len(alive)} cron processes, and none leads{_last_leader(subject)}",
            fix="wait a few seconds and look again; then see their logs",
        )
    return warn(
        f"{len(leading)} processes say that they lead: {some([_named(one) for one in leading])}",
        fix="wait a few seconds and look again; a tick is made once whoever leads",
    )


async def schedules(subject: Subject) -> Finding:
    """Schedules tick, on time."""
    listed = await store.listed(subject.database)
    wrong = [f"{one.name}: {one.last_error}" for one in listed if one.last_error]
    if wrong:
        return fail(some(wrong), fix="mend the schedule in crons/ and deploy")
    now = await store.now(subject.database)
    late = [
        f"{one.name} is due since {_short(now - one.next_run_at)}"
        for one in listed
        if one.next_run_at is not None and now - one.next_run_at > OVERDUE
    ]
    if late:
        return in_prod(subject, some(late), fix="see cron.leader")
    paused = sum(one.paused_at is not None for one in listed)
    return ok(f"{counted(len(listed), 'schedule')}, {paused} paused")


def why_waits(one: Waiting) -> str:
    """Why nobody takes the jobs of a queue."""
    if one.paused:
        return "the queue is paused"
    if not one.workers:
        return "no worker that is alive serves it"
    if one.running >= one.slots:
        return f"all {one.slots} slots are taken"
    return "its workers have free slots, but do not take it: does their code define it?"


def remedy(one: Waiting) -> str:
    """What makes somebody take them."""
    if one.paused:
        return f"app queues resume {one.queue}"
    if not one.workers:
        return f"start one: app worker -q {one.queue}, or without -q"
    if one.running >= one.slots:
        return "start more workers, or raise PILLARS_CONCURRENCY or PILLARS_THREADS"
    return "deploy the code that defines it to those workers; see processes.versions"


def _waits(one: Waiting) -> str:
    return (
        f'queue {one.queue}: {one.jobs} ready, the oldest ("{one.name}") for {_short(one.waited)}'
    )


def _last_leader(subject: Subject) -> str:
    last = next((one for one in subject.processes if one.leads and not one.alive), None)
    return "" if last is None else f"; {_named(last)} led last"


def _named(one: ProcessRow) -> str:
    seen = "" if one.alive else f", last seen {one.seen_at:%H:%M:%S} UTC"
    return f"{one.role} {one.host} pid {one.pid}{seen}"


def _age(one: ProcessRow) -> timedelta:
    return one.seen_at - one.started_at


def _short(length: timedelta) -> str:
    return words(timedelta(seconds=round(length.total_seconds())))
