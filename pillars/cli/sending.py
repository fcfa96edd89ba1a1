"""`app jobs send`: a message to one job."""

from functools import partial
from uuid import UUID

from pillars.cli import opening, saying
from pillars.cli.ending import DONE, FAILED, arguments
from pillars.cli.enqueueing import content
from pillars.cli.opening import Opened
from pillars.cli.recording import actor, record_after
from pillars.codec import checks
from pillars.codec.strict import strictly
from pillars.errors import PayloadError, UnknownJob
from pillars.jobs.handle import UNSENT, checked_id
from pillars.jobs.saying import MOST_OUTPUT
from pillars.store import job_messages


def send(job_id: str, message: str, *, as_json: bool) -> int:
    """Send it; exit code 1 where the job has ended, or takes no more."""
    with arguments():
        checked, text = checked_id(job_id), _message(message)
    outcome = opening.run(partial(_send, checked, text), command="jobs")
    if as_json:
        saying.document({"job_id": checked, "outcome": outcome})
    elif outcome == "sent":
        saying.lines([f"{checked} sent"])
    else:
        saying.lines([f"{checked} not sent: {UNSENT[outcome]}"])
    return DONE if outcome == "sent" else FAILED


async def _send(job_id: UUID, message: str, opened: Opened) -> str:
    pool = opened.database.pool
    with arguments():
        outcome = await job_messages.send(pool, job_id, message, by=actor())
    if outcome == "unknown":
        raise UnknownJob.gone(job_id)
    if outcome == "sent":
        await record_after(pool, "job.send", job_id, outcome=outcome)
    return outcome


def _message(said: str) -> str:
    """JSON, as it was written; else a `PayloadError` that says what is wrong."""
    try:
        text = content(said, what="message", most=MOST_OUTPUT).decode()
        whole = strictly(text)
    except RecursionError:
        raise PayloadError(f"message: is nested over {checks.MAX_DEPTH} deep") from None
    except ValueError as error:
        raise PayloadError(
            f"message: expected JSON, such as '\"a text\"' or '{{\"approved\": true}}': {error}"
        ) from None
    if misfit := checks.anything(whole, 1):
        raise PayloadError(f"message{misfit.path}: {misfit.reason}")
    return text
