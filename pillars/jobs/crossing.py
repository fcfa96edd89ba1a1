"""From code without a loop to the loop that holds the pool."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import TypeVar

from pillars.errors import DatabaseTrouble, NotConnected, Trouble, UsageError

T = TypeVar("T")

# Longer than the pool's patience and a statement's timeout, so that what they have to say is heard first.
PATIENCE = timedelta(seconds=60)


def done_by(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], Awaitable[T]],
    *,
    what: str,
    instead: str,
    patience: timedelta = PATIENCE,
) -> T:
    """Have `work` done on another thread's loop, and wait for what comes of it.

    Raises `UsageError` on that loop's own thread, where the wait would never end, and `DatabaseTrouble` where no answer came: of kind
    UNREACHABLE where `work` was not begun and will not be, LOST where it was.
    """
    if running_loop() is loop:
        raise UsageError(f"{what}: expected a thread of its own, got the loop's; {instead}")
    if loop.is_closed():
        raise NotConnected
    # Taken for good by whoever is first: the loop to begin, or we to give up.
    begun = threading.Lock()

    async def errand() -> T:
        if not begun.acquire(blocking=False):
            raise asyncio.CancelledError
        return await work()

    answer = asyncio.run_coroutine_threadsafe(errand(), loop)
    try:
        return answer.result(patience.total_seconds())
    except (TimeoutError, CancelledError) as error:
        stopped = answer.cancelled()
        if answer.done() and not stopped:  # in the last moment; or the timeout is the work's own
            return answer.result()
        answer.cancel()
        why = "it stops" if stopped else f"not within {patience.total_seconds():g} s"
        raise _unanswered(what, why, begun=not begun.acquire(blocking=False)) from error


def _unanswered(what: str, why: str, *, begun: bool) -> DatabaseTrouble:
    if begun:
        return DatabaseTrouble(
            Trouble.LOST,
            f"{what}: the process's loop began it and gave no answer ({why}); it may have been written",
        )
    return DatabaseTrouble(
        Trouble.UNREACHABLE,
        f"{what}: the process's loop did not begin it ({why}), so nothing was written; does blocking code hold the loop?",
    )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs on this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
