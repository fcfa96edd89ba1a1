"""Which enqueued jobs are the ones that a test asks for. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pillars.durations import words
from pillars.errors import UsageError
from pillars.jobs.definition import Configured, Job
from pillars.jobs.enqueuing import Call
from pillars.jobs.options import Options
from pillars.testing.telling import EnqueuedJob, called

MOST_SHOWN = 10  # jobs in one message

Asked = Job[..., Any] | Configured[..., Any] | Call[Any]
"""A job; a job with options; or a whole call, of which every argument counts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job must be to be meant: these arguments, among others, and these options; no default fills in for what is not said."""

    job: Job[..., Any]
    arguments: dict[str, Any]
    options: dict[str, Any]
    exactly: bool
    """Whether there are no other arguments."""

    def __str__(self) -> str:
        shown = called(self.job.name, self.arguments)
        if not self.options:
            return shown
        given = (f"{name}={_shown(value)}" for name, value in self.options.items())
        return f"{shown} with {', '.join(given)}"

    def fits(self, one: EnqueuedJob) -> bool:
        return one.name == self.job.name and not self.misfits(one)

    def misfits(self, one: EnqueuedJob) -> list[str]:
        """The arguments and options in which a job differs."""
        wrong = [name for name, value in self.arguments.items() if not self._has(one, name, value)]
        if self.exactly:
            more = sorted(one.arguments.keys() - self.arguments.keys())
            wrong += [name for name in more if one.arguments[name] != self._default(name)]
        return wrong + [name for name, value in self.options.items() if not _is(one, name, value)]

    def nearest_first(self, found: Sequence[EnqueuedJob]) -> list[EnqueuedJob]:
        """Jobs of this name before others, those that differ in less before those that differ in more."""
        return sorted(found, key=lambda one: (one.name != self.job.name, len(self.misfits(one))))

    def _has(self, one: EnqueuedJob, name: str, value: Any) -> bool:
        return bool(one.arguments.get(name, self._default(name)) == value)

    def _default(self, name: str) -> Any:
        """What the job gets where nothing was said; of an argument that must be given, a thing that equals no other."""
        parameter = self.job.payload_codec.parameters.get(name)
        return object() if parameter is None else parameter.default


def wanted(asked: Asked, arguments: dict[str, Any]) -> Wanted:
    """Read what was asked; raises `UsageError` for an argument that the job does not take: it would never be found."""
    match asked:
        case Call():
            if arguments:
                raise UsageError(
                    "expected all arguments in .call(...), or all beside a job, got some of each"
                )
            taken = asked.job.payload_codec.decode(asked.payload)
            return Wanted(asked.job, taken, _options(asked.options), exactly=True)
        case Configured():
            job, options = asked.job, _options(asked.options)
        case Job():
            job, options = asked, {}
        case _:
            raise UsageError(
                f"expected a job, job.configure(...) or job.call(...), got {type(asked).__name__}"
            )
    parameters = job.payload_codec.parameters
    unknown = [name for name in arguments if name not in parameters]
    if unknown:
        takes = ", ".join(parameters) or "none"
        raise UsageError(f"{job.name} takes no argument {unknown[0]}; it takes {takes}")
    return Wanted(job, arguments, options, exactly=False)


def complaint(
    meant: Wanted,
    found: Sequence[EnqueuedJob],
    *,
    times: int | None,
    ended: Callable[[str], Sequence[str]],
) -> str | None:
    """What is wrong with how often it is enqueued, and what is enqueued instead, nearest first; None where nothing is.

    `ended` tells how jobs of a name have ended, and is asked only where that may be why.
    """
    fitting = [one for one in found if meant.fits(one)]
    if fitting if times is None else len(fitting) == times:
        return None
    expected = "enqueued" + ("" if times is None else f" {_times(times)}")
    got = f"found it {_times(len(fitting))}" if fitting else "found none"
    lines = [f"expected {meant} to be {expected}, {got}"]
    lines += _listed(meant, found)
    states = [] if fitting else ended(meant.job.name)
    if states:
        shown = ", ".join(states[:MOST_SHOWN])
        lines.append(f"{meant.job.name} has ended {_times(len(states))}: {shown}")
    return "\n".join(lines)


def objection(meant: Wanted, found: Sequence[EnqueuedJob]) -> str | None:
    """What is wrong where it should not be enqueued; None where it is not."""
    fitting = [one for one in found if meant.fits(one)]
    if not fitting:
        return None
    lines = [f"expected {meant} not to be enqueued, found it {_times(len(fitting))}"]
    return "\n".join([*lines, *(f"  {one}" for one in fitting[:MOST_SHOWN])])


def _listed(meant: Wanted, found: Sequence[EnqueuedJob]) -> list[str]:
    if not found:
        return ["nothing is enqueued"]
    lines = ["enqueued are, nearest first:"]
    for one in meant.nearest_first(found)[:MOST_SHOWN]:
        wrong = meant.misfits(one) if one.name == meant.job.name else []
        differs = f" (other {', '.join(wrong)})" if wrong else ""
        lines.append(f"  {one}{differs}")
    if len(found) > MOST_SHOWN:
        lines.append(f"  and {len(found) - MOST_SHOWN} more")
    return lines


def _options(options: Options) -> dict[str, Any]:
    if options.expires_in is not None:
        raise UsageError(
            "expires_in: expected options that can be asserted, and this cannot; let it expire instead"
        )
    given = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: value for name, value in given.items() if value is not None}


def _is(one: EnqueuedJob, name: str, value: Any) -> bool:
    """Whether an option of an enqueued job is as it was said."""
    if name == "run_in":
        return bool(one.delay == value)
    return bool(getattr(one, name) == value)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return words(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value)
