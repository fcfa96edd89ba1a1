"""`shell_job`: any program as a job."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pillars import backoff as waits
from pillars.durations import Duration
from pillars.errors import Outcome
from pillars.jobs import options as checks
from pillars.jobs.children import Child, caller_of, checked_command, function_of
from pillars.jobs.definition import (
    DEFAULT_ATTEMPTS,
    DEFAULT_CRASHES,
    DEFAULT_TIMEOUT,
    Job,
    Keep,
    UniqueKey,
    checked_rules,
)


def shell_job(
    command: Sequence[str],
    *,
    name: str,
    exits: Mapping[int, Outcome] | None = None,
    process: Child | None = None,
    queue: str = "default",
    priority: int = 0,
    max_attempts: int = DEFAULT_ATTEMPTS,
    max_crashes: int = DEFAULT_CRASHES,
    timeout: Duration | None = DEFAULT_TIMEOUT,
    backoff: waits.Backoff = None,
    unique_key: UniqueKey | None = None,
    keep: Keep = "full",
    tags: Iterable[str] = (),
) -> Job[..., Any]:
    """Make a program a job: `shell_job(["pg_dump", "--file={path}", "{database}"], name="backups.dump")`.

    Each `{name}` is a parameter of the job, a text or a number, and stays within its word: no shell reads it. Exit code 0 completes the job,
    with what the program has written as its result (see docs/howto/processes.md), else with None; any other fails the attempt, unless `exits`
    says otherwise: `exits={65: Discard("bad input"), 75: Snooze("5m")}`. `process` says how the process is set up; the other options are
    those of `job`. Raises `DefinitionError` where something is declared wrongly.
    """
    with checks.declaring():
        checks.checked_name(name, "job name")
        checked = checked_command(command, exits)
        rules = checked_rules(
            queue=queue, priority=priority, max_attempts=max_attempts, max_crashes=max_crashes, timeout=timeout, backoff=backoff,
            unique_key=unique_key, keep=keep, tags=tags, process=process or Child(),
        )  # fmt: skip
        function = function_of(checked, name=name, caller=caller_of(1))
    return Job(function, name=name, rules=rules, command=checked)
