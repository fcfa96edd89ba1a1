"""A job that was enqueued, held by whoever enqueued it."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from uuid import UUID

import anyio

from pillars.durations import Duration, duration, words
from pillars.errors import JobCancelled, JobExpired, JobFailed, NotSent, UnknownJob, UsageError
from pillars.jobs.connected import current
from pillars.jobs.following import Told, told
from pillars.jobs.options import LONGEST_TAG, checked_text, shown
from pillars.jobs.saying import MOST_OUTPUT, encoded
from pillars.store import job_messages as messages, jobs as store
from pillars.store.rows import Final

if TYPE_CHECKING:
    from pillars.jobs.definition import Job

R = TypeVar("R")

BY_CODE = "the application's code"
UNSENT = {
    "final": "it has ended, and takes no message any more",
    "full": "1,000 messages wait for it already; does its code read ctx.inbox?",
}
"""Why a message was not sent."""
ENDINGS = {"failed": JobFailed, "cancelled": JobCancelled, "expired": JobExpired}


def checked_id(value: "str | UUID") -> UUID:
    """A job's id, from its text."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        got = shown(value) if isinstance(value, str) else type(value).__name__
        raise UsageError(
            f"job id: expected a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057, got {got}"
        ) from None


class Handle(Generic[R]):
    """One enqueued job: its state, its result, its end."""

    __slots__ = ("__weakref__", "_id", "_job")

    def __init__(self, job: "Job[..., R]", job_id: UUID) -> None:
        self._job = job
        self._id = job_id

    def __repr__(self) -> str:
        return f"<Handle {self._job.name} {self._id}>"

    @property
    def job_id(self) -> str:
        """The job's id, a UUIDv7 as text."""
        return str(self._id)

    async def state(self) -> str:
        """`scheduled`, `ready`, `running`, `waiting`, `paused`, `completed`, `failed`, `cancelled` or `expired`.

        Raises `UnknownJob` once the job is pruned, `NotConnected` and `DatabaseTrouble`.
        """
        return await store.state(current().pool, self._id)

    async def result(self, *, timeout: Duration | None = None) -> R:
        """Wait for the job to complete and return what it returned.

        Raises `JobFailed`, `JobCancelled` or `JobExpired` with the last error, `TimeoutError` after `timeout` (the job goes on),
        `UnknownJob` where no row is left of it (pruned, or `keep="none"`), `PayloadError` where the result is not of the return
        annotation any more, and `NotConnected`. Trouble with the database is waited out. With `keep="slim"` the result is None.
        """
        wait = None if timeout is None else duration(timeout, what="timeout")
        with anyio.move_on_after(None if wait is None else wait / timedelta(seconds=1)):
            return self._told(await current().results.wait(self._id))
        raise TimeoutError(
            f"{self._job.name} {self._id} has not ended within {words(wait or timedelta(0))}; it goes on, and can be asked again"
        )

    def stream(self, *, after: int = 0) -> AsyncGenerator[Told, None]:
        """What the job says and how it stands, as it comes: `async for told in handle.stream(): ...`, which ends after its final state.

        Begins with all that is kept, or after the event of an earlier `Said.event_id`: then nothing is missed and nothing comes twice.
        Yields `Said` and `StateChanged`, and `Missed` first where events after that one are not kept any more. All streams of a process
        share one connection that listens. Once it has begun, trouble with the database is waited out. Raises, when it is iterated,
        `UnknownJob` where no row is left of it, `NotConnected` and `DatabaseTrouble`.
        """
        return told(current(), self._id, after)

    async def cancel(self, *, by: str | None = None) -> bool:
        """End the job: at once where it is not running, else by asking its worker, wherever that runs.

        `by` says for people who wants it to end, such as your user's name; it is told as the reason. Asked once, a job is not run again.
        Returns whether it was unfinished. Raises `UnknownJob` where there is none, `UsageError` where `by` is no text of 1 to 200 bytes,
        `NotConnected` and `DatabaseTrouble`.
        """
        return self._unfinished(await store.cancel(current().pool, self._id, by=asking(by)))

    async def pause(self, *, by: str | None = None) -> bool:
        """Let nothing of the job run until `resume`: at once where it is not running, else from its code's next `ctx.checkpoint` on.

        A running one keeps its slot and its lock, and its deadline rests. `by` says for people who wants it. Returns whether it was
        unfinished. Raises `UnknownJob` where there is none, `UsageError` where `by` is no text of 1 to 200 bytes, `NotConnected` and
        `DatabaseTrouble`.
        """
        return self._unfinished(await store.pause(current().pool, self._id, by=asking(by)))

    async def resume(self) -> bool:
        """Let a paused job go on, or take back that it is to pause.

        Returns whether it was unfinished. Raises `UnknownJob` where there is none, `NotConnected` and `DatabaseTrouble`.
        """
        return self._unfinished(await store.resume(current().pool, self._id))

    async def send(self, data: object, *, by: str | None = None) -> None:
        """Say something to the job, whose code finds it in `ctx.inbox`: at once where it waits there, else when it looks, in whichever attempt.

        `data` is JSON of at most 64 KiB. `by` says for people who sends it. Returns once it is committed. Raises `NotSent` where the job has
        ended or 1,000 messages wait, `UnknownJob` where there is none, `PayloadError` where `data` does not fit, `UsageError` where `by` is
        no text of 1 to 200 bytes, `NotConnected` and `DatabaseTrouble`.
        """
        written = encoded(data, what="message", most=MOST_OUTPUT).decode()
        match await messages.send(current().pool, self._id, written, by=asking(by)):
            case "unknown":
                raise self._unknown()
            case "final" | "full" as why:
                raise NotSent(f"{self._job.name} {self._id}: {UNSENT[why]}")

    def _unfinished(self, answer: str) -> bool:
        if answer == "unknown":
            raise self._unknown()
        return answer != "final"

    def _told(self, final: Final) -> R:
        if final.state == "completed":
            if final.result is None:
                return cast("R", None)
            return cast("R", self._job.result_codec.decode(final.result))
        if final.state == "unknown":
            raise self._unknown()
        ending = ENDINGS[final.state]
        because = f": {final.last_error}" if final.last_error else ""
        raise ending(
            f"{self._job.name} {self._id} {final.state}{because}",
            job_id=self.job_id,
            last_error=final.last_error,
        )

    def _unknown(self) -> UnknownJob:
        return UnknownJob.gone(self._id)


def asking(by: str | None) -> str:
    """Who asks, for people; raises `UsageError` where it is no text of 1 to 200 bytes."""
    return BY_CODE if by is None else checked_text(by, "by", longest=LONGEST_TAG)
