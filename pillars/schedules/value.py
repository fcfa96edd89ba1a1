"""A schedule: a rule, the call that each of its ticks enqueues, and what happens around them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pillars.jobs.definition import Job
from pillars.jobs.enqueuing import Call
from pillars.jobs.options import checked_name, declaring
from pillars.schedules.rules import Interval, Rule
from pillars.store.schedules import NewSchedule

Catchup = Literal["latest", "all", "skip"]
Overlap = Literal["skip", "queue", "allow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What `every` and `crontab` return: a value, which `app cron` syncs into the database and ticks.

    `call` is the job with its arguments and options, `rule` says which moments are ticks: `rule.after(moment)` is the next one.
    `window` is None where `catchup` decides by itself.
    """

    rule: Rule
    call: Call[Any]
    name: str = ""
    """Empty until the registry names it after its variable."""
    catchup: Catchup = "latest"
    overlap: Overlap = "skip"
    jitter: timedelta = timedelta(0)
    window: timedelta | None = None
    paused: bool = False

    @property
    def job(self) -> Job[..., Any]:
        """The job that its ticks enqueue."""
        return self.call.job

    def named(self, name: str) -> "Schedule":
        """This schedule under another name; raises `DefinitionError`."""
        with declaring():
            return replace(self, name=checked_name(name, "schedule name"))

    def row(self, now: datetime) -> NewSchedule:
        """The row to sync, its next tick counted from `now`."""
        job = self.call.new_job()
        return NewSchedule(
            name=self.name,
            job=job.name,
            payload=job.payload,
            queue=job.queue,
            priority=job.priority,
            max_attempts=job.max_attempts,
            timeout=job.timeout,
            expires_in=job.expires_in,
            unique_key=job.unique_key,
            context=job.context,
            tags=job.tags,
            every=self.rule.every if isinstance(self.rule, Interval) else None,
            crontab=None if isinstance(self.rule, Interval) else self.rule.expression,
            timezone="UTC" if isinstance(self.rule, Interval) else self.rule.timezone,
            catchup=self.catchup,
            overlap=self.overlap,
            jitter=self.jitter,
            catchup_window=self.window,
            paused=self.paused,
            next_run_at=self.rule.after(now),
        )
