"""Running a pillar: its signals, its end, its exit code."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio

from pillars import log
from pillars.service.process import DONE, INTERRUPTED, Process

SECOND_INTERRUPT = 1.0  # seconds after the first before another SIGINT means force: a terminal may send two at once
LAST_WORDS = 1.0  # seconds that a forced end has to give jobs back

Run = Callable[[], Coroutine[Any, Any, None]]


async def supervise(process: Process, run: Run, *companions: Run, abort: Run | None = None) -> int:
    """Run a pillar until it ends or a signal asks for its drain; returns the exit code.

    SIGTERM may repeat and means drain. A second SIGINT means now: `abort` gives back what it can within a second.
    `companions` run beside the pillar and are cancelled once it has ended.
    """
    async with anyio.create_task_group() as group:

        async def pillar() -> None:
            await run()
            group.cancel_scope.cancel()

        async def watch() -> None:
            # Caught to the very end: one more Ctrl-C must not break off what is given back.
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                await _until_forced(process, signals)
                if abort is not None:
                    with anyio.move_on_after(LAST_WORDS, shield=True):
                        await abort()
                # At once: code that swallows its cancellation would hold up the task group.
                leave(INTERRUPTED)

        group.start_soon(watch, name="signals")
        for companion in companions:
            group.start_soon(companion, name="companion")
        group.start_soon(pillar, name=process.role)
    return DONE


async def _until_forced(process: Process, signals: AsyncIterator[signal.Signals]) -> None:
    """Set `stopping` at the first signal; return at the SIGINT that means force."""
    interrupted_at: float | None = None
    async for number in signals:
        if number == signal.SIGINT:
            now = time.monotonic()
            if interrupted_at is not None and now - interrupted_at >= SECOND_INTERRUPT:
                return
            interrupted_at = interrupted_at or now
        if not process.stopping.is_set():
            log.get("pillars.service").info(
                log.Event.SERVICE_DRAINING,
                role=process.role,
                signal=signal.Signals(number).name,
            )
            process.stopping.set()


def leave(code: int) -> None:
    """End the process at once, also where a job's thread would not end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
