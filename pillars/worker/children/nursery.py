"""The children of a worker: started for jobs, kept for the next where they can be, ended with it."""

import asyncio
import os
import signal
import sys
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
from msgspec import Raw

from pillars.jobs.children import Child
from pillars.service.process import Process
from pillars.worker.attempts import Attempt
from pillars.worker.children.environment import environment
from pillars.worker.children.hearing import Hearing
from pillars.worker.children.performing import Ear, Performance, arguments_of
from pillars.worker.children.process import ChildProcess, Launch
from pillars.worker.children.protocol import Line, Order, order_line
from pillars.worker.children.warding import Warden
from pillars.worker.judging import Raised
from pillars.worker.outcomes import Completed

IDLE = (
    60.0  # seconds: an interpreter with the app in it holds its memory for the next job no longer
)
FAREWELL = 1.0  # seconds for an interpreter to end by itself
INSIDE = "pillars.worker.children.inside"


class Nursery:
    """Runs jobs in processes of their own. Those of Python functions serve one job after another, each of their own setup."""

    def __init__(self, process: Process, *, ear_of: Callable[[Attempt], Ear] = Hearing) -> None:
        self._process = process
        self._ear_of = ear_of
        self._warden = Warden(process.worker_id)
        self._idle: defaultdict[Child, deque[ChildProcess]] = defaultdict(deque)
        """The one that has served last, last."""
        self._all: set[ChildProcess] = set()
        self._timers: dict[ChildProcess, tuple[Child, asyncio.TimerHandle]] = {}
        """Of each idle one: of which setup it is, and when it is sent away; the one that is idle longest first."""
        self._busy = 0

    async def run(self, attempt: Attempt) -> Completed | Raised:
        """Run an attempt's job in a child. Raises what decoding its arguments does, and `CancelledError` where it was stopped."""
        try:
            child, order = self._found(attempt)
        except OSError as error:
            return Raised(
                f"its process could not be started: {error.strerror or error}: {error.filename or ''}".rstrip(
                    ": "
                )
            )
        performance = Performance(
            attempt, child, self._ear_of(attempt), setup=self._setup(attempt), stopping=self._process.stopping
        )  # fmt: skip
        self._busy += 1
        try:
            return await performance.run(order)
        finally:
            self._busy -= 1
            self._see_off(attempt, child, again=performance.may_serve_again)

    async def close(self) -> None:
        """End all of them."""
        with anyio.move_on_after(FAREWELL, shield=True):
            for child in self._all:
                child.signal(signal.SIGKILL)
            for child in self._all:
                await child.gone.wait()
        self._warden.close()

    def _found(self, attempt: Attempt) -> tuple[ChildProcess, bytes]:
        setup = self._setup(attempt)
        command = attempt.job.command
        order = order_line(Line(job=self._order(attempt)))
        if command is not None:
            return self._started(setup, command.filled(arguments_of(attempt)), python=False), order
        idle = self._idle[self._shared(setup)]
        while idle:
            child = idle.pop()
            _, timer = self._timers.pop(child)
            timer.cancel()
            if not child.gone.is_set():
                return child, order
        return self._started(setup, [sys.executable, "-P", "-m", INSIDE], python=True), order

    def _setup(self, attempt: Attempt) -> Child:
        """How its process is set up: with this worker's bound on memory where it names none."""
        setup, bound = attempt.job.setup, self._process.settings.child_memory
        return setup if bound is None or setup.memory is not None else replace(setup, memory=bound)

    def _started(self, setup: Child, words: list[str], *, python: bool) -> ChildProcess:
        settings = self._process.settings
        self._make_room(settings.children)
        environ = environment(
            os.environ, setup.env, settings, url=self._process.database.address.url, python=python,
            mark=self._warden.mark,
        )  # fmt: skip
        of_all = None if python else setup.cpu_seconds  # an interpreter gives each job its own
        child = ChildProcess(Launch(words, environ, setup, of_all), self._warden)
        self._all.add(child)
        return child

    def _order(self, attempt: Attempt) -> Order:
        claimed = attempt.claimed
        ours = attempt.job.command is None
        return Order(
            job_id=str(claimed.job_id), name=claimed.name, queue=claimed.queue, attempt=claimed.attempt,
            max_attempts=attempt.max_attempts, arguments=Raw(claimed.payload.encode()), context=claimed.context,
            tags=list(claimed.tags or ()), deadline=claimed.deadline_at.isoformat() if claimed.deadline_at else None,
            lock_token=claimed.lock_token if ours else None, worker_id=str(self._process.worker_id) if ours else None,
            **_left(attempt),
        )  # fmt: skip

    def _see_off(self, attempt: Attempt, child: ChildProcess, *, again: bool) -> None:
        """Keep it for the next job, or end it."""
        setup = self._setup(attempt)
        if again and child.jobs < setup.reuse:
            shared = self._shared(setup)
            self._idle[shared].append(child)
            timer = asyncio.get_running_loop().call_later(IDLE, self._dismiss, child)
            self._timers[child] = shared, timer
        else:
            self._end(child)

    def _make_room(self, most: int) -> None:
        """For one more: those that wait for a job of another setup hold no more memory than jobs at once may."""
        for child in [one for one in self._timers if one.gone.is_set()]:
            self._dismiss(child)
        while self._timers and self._busy + len(self._timers) >= most:
            self._dismiss(next(iter(self._timers)))

    def _dismiss(self, child: ChildProcess) -> None:
        setup, timer = self._timers.pop(child)
        timer.cancel()
        self._idle[setup].remove(child)
        self._end(child)

    def _end(self, child: ChildProcess) -> None:
        child.hang_up(patience=FAREWELL)
        self._all = {one for one in self._all if not one.gone.is_set()}

    @staticmethod
    def _shared(setup: Child) -> Child:
        """What a process must have been started with to serve a job."""
        return replace(setup, ansi="strip", reuse=1)


def _left(attempt: Attempt) -> dict[str, Any]:
    """What an earlier attempt has left as metadata, or why that is not known."""
    if attempt.exchanged is None:
        return {}
    metadata = attempt.exchanged.voice.metadata
    if metadata.trouble is not None:
        return {"metadata_trouble": str(metadata.trouble)}
    return {"metadata": Raw(metadata.body().encode())}
