"""What a test is told: of jobs that are enqueued, of attempts that were made."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pillars.durations import words
from pillars.errors import JobFailed, Retry
from pillars.jobs.definition import Job

Outcome = Literal["completed", "failed", "retried", "snoozed", "cancelled", "released"]

LONGEST_VALUE = 60  # characters of one argument in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuedJob:
    """A job that is enqueued and has not ended.

    `arguments` are as the job will get them, by parameter, without those left to their defaults; of a job that no code defines,
    they are plain JSON. `run_in` is how long it is until `run_at`, by the test's clock: negative once it is due.
    """

    job_id: str
    name: str
    arguments: dict[str, Any]
    state: str
    queue: str
    priority: int
    run_at: datetime
    run_in: timedelta
    delay: timedelta
    """From its enqueue to `run_at`."""
    attempt: int
    max_attempts: int | None
    unique_key: str | None
    context: str | None
    tags: tuple[str, ...]
    last_error: str | None
    timeout: timedelta | None = field(default=None, repr=False)

    def __str__(self) -> str:
        shown = f'{called(self.name, self.arguments)} in queue "{self.queue}", {self._when()}'
        if self.attempt:
            shown += f", after {self.attempt} of {self.max_attempts} tries: {self.last_error}"
        return shown

    def _when(self) -> str:
        if self.state not in {"scheduled", "ready"}:
            return self.state
        if self.run_in <= timedelta(0):
            return "due now"
        return f"due in {words(timedelta(seconds=max(1, round(self.run_in.total_seconds()))))}"


@dataclass(frozen=True, slots=True)
class Said:
    """Something that an attempt said: `kind` is "progress", "log", "output" or "metadata", `body` its JSON as it is stored."""

    kind: str
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One attempt that was made: of which job, and what became of it.

    `outcome` is "completed", with the `result` as its handle would give it; "failed", for good; "retried" or "snoozed", to run
    again after `wait`; "cancelled"; or "released", where the lock was lost. `error` is the exception that its code raised. `said` is what
    it has said by `ctx.log`, `ctx.emit`, `ctx.progress` and `ctx.metadata`, as far as it was written: of progress and metadata the newest at
    each moment.
    """

    job: Job[..., Any] = field(repr=False)
    job_id: str
    attempt: int
    outcome: Outcome
    result: Any = None
    error: BaseException | None = None
    wait: timedelta | None = None
    said: tuple[Said, ...] = field(default=(), repr=False)

    @property
    def outputs(self) -> list[tuple[str, Any]]:
        """The names and data of what it has emitted, in its order."""
        return [(one.body["name"], one.body["data"]) for one in self.said if one.kind == "output"]

    @property
    def name(self) -> str:
        return self.job.name

    def __str__(self) -> str:
        return f"{self.name} {self.outcome}" + (f": {self.error!r}" if self.error else "")

    @property
    def failure(self) -> BaseException | None:
        """What a test should hear of unless it expects it: an error, also where tries are left; a `Retry` is none then."""
        if self.outcome == "failed" or (
            self.outcome == "retried" and not isinstance(self.error, Retry)
        ):
            return self.error or JobFailed(f"{self.name} failed", job_id=self.job_id)
        return None


def called(name: str, arguments: dict[str, Any]) -> str:
    """A job with its arguments, as one would write it."""
    shown = (f"{parameter}={_short(value)}" for parameter, value in arguments.items())
    return f"{name}({', '.join(shown)})"


def _short(value: object) -> str:
    shown = f'UUID("{value}")' if isinstance(value, UUID) else repr(value)
    return shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 1] + "…"
