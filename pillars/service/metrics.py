"""What there is to measure, of a process and of the database: every metric, in the order in which it is shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

from pillars.service.exposition import Family, Kind, Samples
from pillars.service.process import Process
from pillars.service.tally import MOST_NAMES, OTHER
from pillars.store.rows import Listed, Queue, Vitals
from pillars.version import __version__

SWEPT = ("rescued", "failed", "cancelled", "expired", "parked")
TICKED = ("enqueued", "overlapped", "late")
STATES = ("ready", "running", "scheduled", "parked")

Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class Metric(Generic[Source]):
    """One metric: how it is called, and how its samples are read."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    read: Callable[[Source], Samples]

    def of(self, *sources: Source) -> Family:
        """Its samples, of several sources together: those that count together say the same under the same labels."""
        samples = {labels: one for each in sources for labels, one in self.read(each).items()}
        return Family(self.name, self.kind, self.labels, self.help, samples)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the database has found."""

    vitals: Vitals
    queues: Sequence[Queue]
    schedules: Sequence[Listed]
    unswept: timedelta = timedelta(0)
    """For how long the oldest expired lock has waited for a sweep."""
    names: Mapping[str, bool] = field(default_factory=dict)
    """Whether each name of a job is paused."""


def _alone(value: float) -> Samples:
    return {(): value}


def _of(role: str, read: Callable[[Process], Samples]) -> Callable[[Process], Samples]:
    """Samples that only one role has."""
    return lambda process: read(process) if process.role == role else {}


def _each(counted: Mapping[str, int]) -> Samples:
    return {(name,): count for name, count in counted.items()}


def _listening(process: Process) -> Samples:
    return {} if process.listening is None else _alone(process.listening)


def _attempts(process: Process) -> Samples:
    return {
        (name, outcome): count
        for name, runs in process.tally.runs.items()
        for outcome, count in runs.outcomes.items()
    }


def _runs(process: Process) -> Samples:
    return {(name,): runs.times for name, runs in process.tally.runs.items()}


def _waits(process: Process) -> Samples:
    return {(name,): times for name, times in process.tally.waits.items()}


def _swept(process: Process) -> Samples:
    return {} if process.role == "web" else {(one,): process.tally.swept[one] for one in SWEPT}


def _queues(seen: Seen) -> Iterable[Queue]:
    """The queues by name, those beyond the first 200 as one."""
    named: dict[str, Queue] = {}
    for place, queue in enumerate(seen.queues):
        name = queue.name if place < MOST_NAMES else OTHER
        named[name] = _together(named[name], queue) if name in named else replace(queue, name=name)
    return named.values()


def _together(one: Queue, two: Queue) -> Queue:
    return replace(
        one,
        ready=one.ready + two.ready,
        running=one.running + two.running,
        scheduled=one.scheduled + two.scheduled,
        parked=one.parked + two.parked,
        oldest_ready_seconds=max(one.oldest_ready_seconds, two.oldest_ready_seconds),
        paused_at=one.paused_at or two.paused_at,
    )


def _jobs(seen: Seen) -> Samples:
    return {
        (queue.name, state): getattr(queue, state) for queue in _queues(seen) for state in STATES
    }


def _names(seen: Seen) -> Samples:
    return {(name,): paused for name, paused in list(seen.names.items())[:MOST_NAMES]}


def _schedules(seen: Seen) -> Samples:
    paused = sum(one.paused_at is not None for one in seen.schedules)
    return {("false",): len(seen.schedules) - paused, ("true",): paused}


def _last_ticks(seen: Seen) -> Samples:
    ticked = [(one.name, one.last_tick) for one in seen.schedules if one.last_tick is not None]
    return {(name,): tick.timestamp() for name, tick in ticked[:MOST_NAMES]}


OF_PROCESS: tuple[Metric[Process], ...] = (
    Metric(
        "pillars_build_info", "gauge", ("role", "version", "commit"),
        "1; the labels say which release this process runs.",
        lambda process: {(process.role, __version__, process.commit): 1},
    ),
    Metric(
        "pillars_process_start_time_seconds", "gauge", (),
        "When this process began, in seconds since 1970.",
        lambda process: _alone(process.tally.began_at),
    ),
    Metric(
        "pillars_process_ready", "gauge", ("role",),
        "1 while this process serves, claims or ticks, and has not been asked to stop.",
        lambda process: {(process.role,): process.ready and not process.stopping.is_set()},
    ),
    Metric(
        "pillars_attempts_total", "counter", ("job", "outcome"),
        "Attempts that ended here, by job and outcome; lost: the lock was another's by then.",
        _attempts,
    ),
    Metric(
        "pillars_run_seconds", "histogram", ("job",),
        "How long the code of an attempt ran.",
        _runs,
    ),
    Metric(
        "pillars_wait_seconds", "histogram", ("queue",),
        "How long a job waited from its run_at until it began here.",
        _waits,
    ),
    Metric(
        "pillars_claims_total", "counter", (),
        "Claims that this worker made, empty ones too.",
        _of("worker", lambda process: _alone(process.tally.claims)),
    ),
    Metric(
        "pillars_finish_flushes_total", "counter", (),
        "Groups of outcomes that this worker wrote.",
        _of("worker", lambda process: _alone(process.tally.flushes)),
    ),
    Metric(
        "pillars_locks_lost_total", "counter", (),
        "Jobs whose lock was lost before their outcome was written.",
        _of("worker", lambda process: _alone(process.tally.locks_lost)),
    ),
    Metric(
        "pillars_loop_blocked_total", "counter", (),
        "Times that the loop did not turn for over a second.",
        _of("worker", lambda process: _alone(process.tally.blocked)),
    ),
    Metric(
        "pillars_slots", "gauge", ("kind",),
        "How many jobs this worker runs at once, by kind.",
        lambda process: _each(process.tally.slots),
    ),
    Metric(
        "pillars_slots_in_use", "gauge", ("kind",),
        "How many jobs it runs now, by kind.",
        lambda process: {(kind,): process.tally.taken.get(kind, 0) for kind in process.tally.slots},
    ),
    Metric(
        "pillars_listener_up", "gauge", (),
        "1 while this worker hears notifications; at 0 it polls.",
        _listening,
    ),
    Metric(
        "pillars_swept_jobs_total", "counter", ("outcome",),
        "Jobs that this process's sweeps dealt with: rescued from dead workers, failed, cancelled, expired, parked.",
        _swept,
    ),
    Metric(
        "pillars_leads", "gauge", (),
        "1 where this cron process leads.",
        _of("cron", lambda process: _alone(process.leads)),
    ),
    Metric(
        "pillars_ticks_total", "counter", ("outcome",),
        "Ticks that this cron process decided, by outcome.",
        _of("cron", lambda process: {(one,): process.tally.ticks[one] for one in TICKED}),
    ),
    Metric(
        "pillars_requests_total", "counter", ("status",),
        "Requests that this web process answered, the application's own too, by status.",
        lambda process: _each(process.tally.requests),
    ),
)  # fmt: skip

UP: Metric[Seen | None] = Metric(
    "pillars_database_up", "gauge", (),
    "1 where the database answered the last look; at 0 the figures below are missing.",
    lambda seen: _alone(seen is not None),
)  # fmt: skip

OF_DATABASE: tuple[Metric[Seen], ...] = (
    Metric(
        "pillars_jobs", "gauge", ("queue", "state"),
        "Unfinished jobs by queue and state; parked: waiting for something, or paused.",
        _jobs,
    ),
    Metric(
        "pillars_oldest_ready_seconds", "gauge", ("queue",),
        "How long the job that is due for longest has waited.",
        lambda seen: {(queue.name,): queue.oldest_ready_seconds for queue in _queues(seen)},
    ),
    Metric(
        "pillars_queue_paused", "gauge", ("queue",),
        "1 where people paused the queue.",
        lambda seen: {(queue.name,): queue.paused_at is not None for queue in _queues(seen)},
    ),
    Metric(
        "pillars_name_paused", "gauge", ("job",),
        "1 where people paused the name of a job.",
        _names,
    ),
    Metric(
        "pillars_workers", "gauge", (),
        "Workers that are alive.",
        lambda seen: _alone(seen.vitals.workers),
    ),
    Metric(
        "pillars_worker_deaf", "gauge", (),
        "1 where a worker hears no notifications and polls.",
        lambda seen: _alone(seen.vitals.polling),
    ),
    Metric(
        "pillars_leader_present", "gauge", (),
        "1 where a cron process leads.",
        lambda seen: _alone(seen.vitals.leader is not None),
    ),
    Metric(
        "pillars_oldest_expired_lock_seconds", "gauge", (),
        "For how long the oldest expired lock has waited for a sweep; 0 where none has expired.",
        lambda seen: _alone(seen.unswept.total_seconds()),
    ),
    Metric(
        "pillars_schedules", "gauge", ("paused",),
        "Schedules, by whether they are paused.",
        _schedules,
    ),
    Metric(
        "pillars_schedule_last_tick_time_seconds", "gauge", ("schedule",),
        "When a schedule ticked last, in seconds since 1970.",
        _last_ticks,
    ),
)  # fmt: skip


def families(process: Process, seen: Seen | None) -> list[Family]:
    """All that can be told, in a fixed order."""
    return [*of_process(process), *of_database(seen)]


def of_process(process: Process) -> list[Family]:
    """What a process knows of itself, and of the pillars beside it."""
    return [metric.of(process, *process.beside) for metric in OF_PROCESS]


def of_database(seen: Seen | None) -> list[Family]:
    """What a look has found; where there was none, only that."""
    return [UP.of(seen), *([] if seen is None else [metric.of(seen) for metric in OF_DATABASE])]
