"""Running pillars: their signals, their end, their exit code."""

import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Protocol

import anyio

from pillars import log
from pillars.service.process import DONE, INTERRUPTED

SECOND_INTERRUPT = 1.0  # seconds after the first before another SIGINT means force: a terminal may send two at once
LAST_WORDS = 1.0  # seconds that a forced end has to give jobs back

HEEDED = (signal.SIGTERM, signal.SIGINT)

Run = Callable[[], Coroutine[Any, Any, None]]


class Stands(Protocol):
    """How far a pillar is: `stopping` asks for its end, `ended` says that there is nothing more to wait for."""

    @property
    def role(self) -> str: ...
    @property
    def stopping(self) -> anyio.Event: ...
    @property
    def ended(self) -> anyio.Event: ...


class Pillar(Protocol):
    """Web, worker or cron, or a fleet of one. One that has an `abort` gives back by it at once what it can; a `heed` is told each signal."""

    @property
    def process(self) -> Stands: ...
    async def run(self) -> None: ...


async def supervise(
    pillars: Sequence[Pillar], *companions: Run, name: str, code_of: Callable[[Exception], int]
) -> int:
    """Run pillars until they end or a signal asks for their drain; returns the exit code, or raises what the first of them raised.

    They stand and fall together: where one ends or fails, the others drain as at a signal. SIGTERM may repeat and means drain.
    A second SIGINT means now: each `abort` has a second. `companions` run beside the pillars and are cancelled once those have
    ended. `name` is what was started, for the log. `code_of` tells a failure and returns its exit code, for the end that cannot be
    waited for, since code of the user's heeds no cancellation.
    """
    return await _Watch(pillars, name, code_of).over(companions)


class _Watch:
    """What happens to pillars that stand and fall together."""

    def __init__(
        self, pillars: Sequence[Pillar], name: str, code_of: Callable[[Exception], int]
    ) -> None:
        self._pillars = pillars
        self._name = name
        self._code_of = code_of
        self._stopping = pillars[0].process.stopping
        self._returned = 0
        self._failures: list[Exception] = []

    async def over(self, companions: Sequence[Run]) -> int:
        async with anyio.create_task_group() as standing:
            for pillar in self._pillars:
                standing.start_soon(self._stand, pillar, name=pillar.process.role)
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._heed_signals, name="signals")
                for companion in companions:
                    beside.start_soon(self._attempt, companion, "companion", name="companion")
                for pillar in self._pillars:
                    await pillar.process.ended.wait()
                beside.cancel_scope.cancel()
            if self._returned < len(self._pillars):  # the task group would wait for ever
                leave(self._code_of(self._failures[0]) if self._failures else DONE)
        if self._failures:
            raise self._failures[0]
        return DONE

    async def _stand(self, pillar: Pillar) -> None:
        await self._attempt(pillar.run, pillar.process.role)
        self._returned += 1
        self._stopping.set()
        pillar.process.ended.set()

    async def _attempt(self, run: Run, what: str) -> None:
        """What fails first is kept until the others have drained; whatever else fails is in the log alone."""
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others end in good order
            self._failures.append(error)
            if what != self._name or len(self._failures) > 1:
                log.get("pillars.service").error(
                    log.Event.SERVICE_FAILED, role=what, error=_said(error)
                )
            self._stopping.set()

    async def _heed_signals(self) -> None:
        try:
            # Caught to the very end: one more Ctrl-C must not break off what is given back.
            with anyio.open_signal_receiver(*HEEDED) as signals:
                await self._interrupted(signals)
                for pillar in self._pillars:
                    if abort := getattr(pillar, "abort", None):
                        last_words = getattr(pillar, "last_words", LAST_WORDS)
                        with anyio.move_on_after(last_words, shield=True):
                            await abort()
                # At once: code that swallows its cancellation would hold up the task group.
                leave(INTERRUPTED)
        finally:
            # The drain is over; a repeated signal must not kill the process while it closes what it holds.
            for number in HEEDED:
                signal.signal(number, _nothing)

    async def _interrupted(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Set `stopping` at the first signal; return at the SIGINT that means force."""
        interrupted_at: float | None = None
        async for number in signals:
            for pillar in self._pillars:
                if heed := getattr(pillar, "heed", None):
                    heed(number)
            if number == signal.SIGINT:
                now = time.monotonic()
                if interrupted_at is not None and now - interrupted_at >= SECOND_INTERRUPT:
                    return
                interrupted_at = interrupted_at or now
            if not self._stopping.is_set():
                log.get("pillars.service").info(
                    log.Event.SERVICE_DRAINING,
                    role=self._name,
                    signal=signal.Signals(number).name,
                )
                self._stopping.set()


def _nothing(_number: int, _frame: object) -> None:
    """Not `SIG_IGN`, which a process that begins again by exec would inherit."""


def _said(error: BaseException) -> str:
    """What failed, of a task group each thing."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_said, error.exceptions))
    return f"{type(error).__name__}: {error}"


def leave(code: int) -> None:
    """End the process at once, also where a job's thread would not end.

    No signal breaks in any more: what a tracer or an agent does at an exit may hold locks that its view of our handler asks for too.
    """
    if threading.current_thread() is threading.main_thread():
        for number in HEEDED:
            signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
