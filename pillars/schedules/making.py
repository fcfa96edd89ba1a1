"""The words `every` and `crontab`, and what they refuse."""

from datetime import timedelta
from typing import Any, get_args

from pillars.durations import LONGEST, Duration, duration, words
from pillars.errors import DefinitionError, UsageError
from pillars.jobs.definition import Configured, Job
from pillars.jobs.enqueuing import Call
from pillars.jobs.options import checked_name, declaring
from pillars.schedules.reading import read
from pillars.schedules.rules import Interval, Rule
from pillars.schedules.value import Catchup, Overlap, Schedule

LEAST_INTERVAL = timedelta(
    seconds=1
)  # a tick is a transaction; what is more frequent is a loop in one job

Enqueued = Job[[], Any] | Call[Any]
"""What a schedule enqueues: a job without parameters (its Context aside), or a call with its arguments."""


def every(
    interval: Duration,
    job: Enqueued,
    *,
    name: str | None = None,
    catchup: Catchup = "latest",
    overlap: Overlap = "skip",
    jitter: Duration | None = None,
    window: Duration | None = None,
    paused: bool = False,
) -> Schedule:
    """Enqueue a job every so often: at multiples of the interval since 2000-01-01 UTC, so "1h" ticks on the hour.

    `catchup` says what becomes of ticks that fell into an outage: "latest" makes one job for all of them, where `window` is
    given only if the latest is no older; "all" makes a job for each, the last 100 at most; "skip" makes none for a tick that
    is over a minute late. `overlap` says what becomes of a tick while the job of the one before is unfinished: "skip"
    makes no job; "queue" makes one that starts when that job has ended, and at most one waits; "allow" makes one at once.
    It judges ticks that are caught up, too. `jitter` delays each job by a random time up to that. `paused` keeps it from
    ticking until the code, or a person, says otherwise. The name is the variable's, dotted, where none is given. Raises
    `DefinitionError`.
    """
    rule = Interval(_interval(interval))
    return _schedule(
        rule,
        job,
        name=name,
        catchup=catchup,
        overlap=overlap,
        jitter=jitter,
        window=window,
        paused=paused,
    )


def crontab(
    expression: str,
    job: Enqueued,
    *,
    tz: str = "UTC",
    name: str | None = None,
    catchup: Catchup = "latest",
    overlap: Overlap = "skip",
    jitter: Duration | None = None,
    window: Duration | None = None,
    paused: bool = False,
) -> Schedule:
    """Enqueue a job when the clock of a time zone shows the time of a cron expression; the rest is as for `every`.

    Five fields (minute, hour, day of the month, month, day of the week) or @hourly, @daily, @midnight, @weekly, @monthly,
    @yearly, @annually. Where clocks change, a rule with a fixed minute and hour runs once at the jump if its time is jumped
    over, and the first time if its time comes twice; a rule whose minute or hour begins with `*` follows real time. Raises
    `DefinitionError`, which names the field.
    """
    for value, what in ((expression, "crontab"), (tz, "tz")):
        if not isinstance(value, str):
            example = '"0 3 * * *"' if what == "crontab" else '"Europe/Berlin"'
            raise DefinitionError(
                f"{what}: expected text such as {example}, got {type(value).__name__}"
            )
    rule = read(expression, tz)
    return _schedule(
        rule,
        job,
        name=name,
        catchup=catchup,
        overlap=overlap,
        jitter=jitter,
        window=window,
        paused=paused,
    )


def _schedule(
    rule: Rule,
    job: object,
    *,
    name: str | None,
    catchup: Catchup,
    overlap: Overlap,
    jitter: Duration | None,
    window: Duration | None,
    paused: bool,
) -> Schedule:
    if not isinstance(paused, bool):
        raise DefinitionError(f"paused: expected True or False, got {type(paused).__name__}")
    with declaring():
        return Schedule(
            rule=rule,
            call=_call(job),
            name="" if name is None else checked_name(name, "schedule name"),
            catchup=_one_of(catchup, get_args(Catchup), "catchup"),
            overlap=_one_of(overlap, get_args(Overlap), "overlap"),
            jitter=timedelta(0) if jitter is None else duration(jitter, what="jitter"),
            window=None if window is None else duration(window, what="window"),
            paused=paused,
        )


def _interval(value: Duration) -> timedelta:
    with declaring():
        interval = duration(value, what="every")
    if interval < LEAST_INTERVAL:
        raise DefinitionError(
            f"every: expected {words(LEAST_INTERVAL)} to {words(LONGEST)}, got {words(interval)}; "
            "for more frequent work let one job loop"
        )
    return interval


def _call(job: object) -> Call[Any]:
    match job:
        case Job():
            return _called(job)
        case Configured():
            raise DefinitionError(f"schedule of {job.job.name}: write .call() after configure(...)")
        case Call():
            return _checked(job)
        case _:
            hint = "; decorate it with @job" if callable(job) else ""
            raise DefinitionError(
                f"schedule: expected a job or job.call(...), got {type(job).__name__}{hint}"
            )


def _called(job: Job[..., Any]) -> Call[Any]:
    try:
        return job.call()
    except UsageError as error:
        raise DefinitionError(
            f"schedule of {job.name}: it needs arguments: write {job.function.__name__}.call(...) ({error})"
        ) from error


def _checked(call: Call[Any]) -> Call[Any]:
    """The call, if a schedule can repeat it."""
    refused = {
        "run_at": (call.options.run_at, "the schedule says when"),
        "run_in": (call.options.run_in, "the schedule says when; jitter= delays its jobs"),
        "connection": (call.connection, "a tick has its own transaction"),
    }
    for option, (value, reason) in refused.items():
        if value is not None:
            raise DefinitionError(
                f"schedule of {call.job.name}: leave {option} out of configure(...): {reason}"
            )
    return call


def _one_of(value: Any, choices: tuple[str, ...], what: str) -> Any:
    if value in choices:
        return value
    raise DefinitionError(f"{what}: expected one of {', '.join(choices)}, got {value!r}")
