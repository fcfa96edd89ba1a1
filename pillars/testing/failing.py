"""How a test hears of what went wrong: by the job's own exception, from the line of the job that raised it."""

import asyncio
from typing import NoReturn

from pillars.errors import JobCancelled, JobFailed
from pillars.testing.telling import Ran
from pillars.worker.telling import from_the_job_on


def fell_short(complaint: str | None) -> None:
    """Fail the test, if there is something to complain of."""
    __tracebackhide__ = True
    if complaint is not None:
        raise AssertionError(complaint)


def failed(ran: Ran | None) -> None:
    """Raise an attempt's failure, if it has one."""
    __tracebackhide__ = True
    if ran is not None and ran.failure is not None:
        heard(ran)


def heard(ran: Ran) -> NoReturn:
    """Raise what an attempt raised, with a note of which job it was."""
    __tracebackhide__ = True
    error = ran.error
    if error is None:
        raise JobCancelled(f"{ran.name} {ran.job_id} was {ran.outcome}", job_id=ran.job_id)
    if isinstance(
        error, asyncio.CancelledError | GeneratorExit
    ):  # to the test's own loop it would mean the test
        raise JobFailed(f"{ran.name} {ran.job_id} raised {error!r}", job_id=ran.job_id) from error
    error.add_note(f"raised by job {ran.name} {ran.job_id}, attempt {ran.attempt}: {ran.outcome}")
    raise error.with_traceback(from_the_job_on(ran.job, error.__traceback__))
