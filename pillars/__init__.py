"""The three processes of a web application, on Postgres alone: `app web`, `app worker`, `app cron`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pillars.errors import (
        ConfigurationError as ConfigurationError,
        DatabaseTrouble as DatabaseTrouble,
        DefinitionError as DefinitionError,
        Discard as Discard,
        JobCancelled as JobCancelled,
        JobEnded as JobEnded,
        JobExpired as JobExpired,
        JobFailed as JobFailed,
        LockLost as LockLost,
        NotConnected as NotConnected,
        NotSent as NotSent,
        PayloadError as PayloadError,
        PillarsError as PillarsError,
        Retry as Retry,
        Snooze as Snooze,
        UnknownJob as UnknownJob,
        UsageError as UsageError,
    )
    from pillars.jobs.children import Child as Child
    from pillars.jobs.connected import connect as connect, connection as connection
    from pillars.jobs.context import Context as Context
    from pillars.jobs.definition import Job as Job, job as job
    from pillars.jobs.enqueuing import Call as Call, enqueue_many as enqueue_many
    from pillars.jobs.following import (
        Missed as Missed,
        Said as Said,
        StateChanged as StateChanged,
    )
    from pillars.jobs.handle import Handle as Handle
    from pillars.jobs.inbox import Message as Message
    from pillars.jobs.shell import shell_job as shell_job
    from pillars.jobs.stream_tokens import stream_token as stream_token
    from pillars.schedules import Schedule as Schedule, crontab as crontab, every as every

from pillars.version import __version__ as __version__

# Where each public name lives; imported when it is first asked for, so that `app --help` loads none of it.
HOMES = {
    "Call": "pillars.jobs.enqueuing",
    "Child": "pillars.jobs.children",
    "ConfigurationError": "pillars.errors",
    "Context": "pillars.jobs.context",
    "DatabaseTrouble": "pillars.errors",
    "DefinitionError": "pillars.errors",
    "Discard": "pillars.errors",
    "Handle": "pillars.jobs.handle",
    "Job": "pillars.jobs.definition",
    "JobCancelled": "pillars.errors",
    "JobEnded": "pillars.errors",
    "JobExpired": "pillars.errors",
    "JobFailed": "pillars.errors",
    "LockLost": "pillars.errors",
    "Message": "pillars.jobs.inbox",
    "Missed": "pillars.jobs.following",
    "NotConnected": "pillars.errors",
    "NotSent": "pillars.errors",
    "PayloadError": "pillars.errors",
    "PillarsError": "pillars.errors",
    "Retry": "pillars.errors",
    "Said": "pillars.jobs.following",
    "Schedule": "pillars.schedules",
    "Snooze": "pillars.errors",
    "StateChanged": "pillars.jobs.following",
    "UnknownJob": "pillars.errors",
    "UsageError": "pillars.errors",
    "connect": "pillars.jobs.connected",
    "connection": "pillars.jobs.connected",
    "crontab": "pillars.schedules",
    "enqueue_many": "pillars.jobs.enqueuing",
    "every": "pillars.schedules",
    "job": "pillars.jobs.definition",
    "shell_job": "pillars.jobs.shell",
    "stream_token": "pillars.jobs.stream_tokens",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'pillars' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*HOMES, "__version__"])
