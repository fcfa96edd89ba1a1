"""A fleet: several like processes of one command, which share nothing. Each that ends is started again; a drain is a drain of all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import Process as Child

from pillars import log
from pillars.service.line import VARIABLE, Line
from pillars.service.process import DONE, FAILED, USAGE

SHORTEST, LONGEST = 1.0, 10.0  # seconds between an end and the next start
LOOK = 0.1  # seconds between two questions whether a process is ready yet
READY = 200  # what a process that is says to "ready"
PATIENCE = 2.0  # seconds for an answer; platforms give up after 2 to 5
FORCED = (
    2.0  # seconds for processes that were told to end now, which take one; then they are killed
)


def pause_after(last: float | None, *, ran: float) -> float:
    """Seconds to wait before the next start: twice the last pause, or the shortest again after a run of some length."""
    if last is None or ran > LONGEST:
        return SHORTEST
    return min(2 * last, LONGEST)


@dataclass(slots=True)
class Watched:
    """A fleet as `supervise` sees it."""

    role: str
    stopping: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)


class Member:
    """One place in a fleet, and the process that holds it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.restarts = 0
        self.was_ready = False
        """Whether any process here ever was."""
        self._child: Child | None = None
        self._handle: int | None = None
        self._line: Line | None = None

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def live(
        self, command: Sequence[str], environ: Mapping[str, str], *, started: Callable[[], None]
    ) -> int:
        """Start a process, say so, and return its exit code. Cancelled, it lets go of the process, which then drains."""
        try:
            self._line = line = Line()
        except OSError as error:
            return _not_started(self.number, error)
        told = {VARIABLE: f"{self.number}:{line.other.fileno()}"}
        try:
            self._child = await anyio.open_process(
                command,
                env={**environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=None,
                stderr=None,
                pass_fds=[line.other.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C goes to all in front of it: we pass it on, once
            )
            line.other.close()
            self._handle = _handle_of(self._child)
            started()
            async with anyio.create_task_group() as group:
                group.start_soon(self._note_ready)
                code = await self._child.wait()
                group.cancel_scope.cancel()
        except OSError as error:
            return _not_started(self.number, error)
        finally:
            if self._handle is not None:
                os.close(self._handle)
            self._child = self._line = self._handle = None
            line.close()
        return code

    async def ask(self, what: str, *, patience: float = PATIENCE) -> object:
        """What its process answers; None where there is none, or it says nothing."""
        if self._line is None:
            return None
        return await self._line.ask(what, patience=patience)

    async def is_ready(self) -> bool:
        """Whether its process claims, and was not asked to stop."""
        return await self.ask("ready") == READY

    def signal(self, number: int) -> None:
        """Send it to its process and to no other, whoever may have the number of one that has just ended."""
        with suppress(ProcessLookupError):
            if sys.platform == "linux" and self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)
            elif self._child is not None:
                self._child.send_signal(signal.Signals(number))

    async def _note_ready(self) -> None:
        while not await self.is_ready():  # noqa: ASYNC110 - it is another process
            await anyio.sleep(LOOK)
        self.was_ready = True


class Fleet:
    """Keeps `count` processes of `command` running. `code` is the exit code once `run()` has returned."""

    last_words = FORCED + 0.5
    """Seconds that `abort` may take."""

    def __init__(self, role: str, count: int, command: Sequence[str]) -> None:
        self.process = Watched(role)
        self.members = [Member(number) for number in range(1, count + 1)]
        self.code = DONE
        self._command = command
        self._told: int | None = None
        """The last signal that was passed on."""

    async def run(self) -> None:
        """Start them all, and again whichever ends; return once all have ended after `process.stopping` was set.

        One that ends with a usage error, or before any was ever ready, ends all: it would end so for ever, and must be seen to.
        """
        async with anyio.create_task_group() as group:
            for member in self.members:
                group.start_soon(self._keep, member, name=f"process {member.number}")
            await self.process.stopping.wait()
            if self._told is None:
                self.heed(signal.SIGTERM)

    def heed(self, number: int) -> None:
        """Pass a signal on to all."""
        self._told = number
        for member in self.members:
            member.signal(number)

    async def abort(self) -> None:
        """They were sent what means now: wait for that, and kill who has not heard."""
        with anyio.move_on_after(FORCED):
            await self.process.ended.wait()
            return
        self.heed(signal.SIGKILL)

    async def _keep(self, member: Member) -> None:
        pause: float | None = None
        while not self.process.stopping.is_set():
            began = time.monotonic()
            code = await member.live(
                self._command, os.environ, started=partial(self._catch_up, member)
            )
            if self.process.stopping.is_set():
                self.code = self.code or _drained(code)
                return
            if self._is_hopeless(code):
                self.code = code if code > 0 else FAILED
                log.get("pillars.service").warning(
                    log.Event.PROCESS_ENDED, process=member.number, code=code
                )
                self.process.stopping.set()
                return
            pause = pause_after(pause, ran=time.monotonic() - began)
            member.restarts += 1
            log.get("pillars.service").warning(
                log.Event.PROCESS_ENDED, process=member.number, code=code, again_in_s=pause
            )
            with anyio.move_on_after(pause):
                await self.process.stopping.wait()

    def _catch_up(self, member: Member) -> None:
        """A process that was being started has missed what the others were told."""
        if self.process.stopping.is_set():
            member.signal(self._told or signal.SIGTERM)

    def _is_hopeless(self, code: int) -> bool:
        ever_ready = any(member.was_ready for member in self.members)
        return code == USAGE or (code != DONE and not ever_ready)


def _handle_of(child: Child) -> int | None:
    """A descriptor that stands for this process; None where the system has none, or it has ended already."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(child.pid)
    except OSError:
        return None


def _not_started(number: int, error: OSError) -> int:
    log.get("pillars.service").error(
        log.Event.SERVICE_FAILED, role=f"process {number}", error=str(error)
    )
    return FAILED


def _drained(code: int) -> int:
    """The end of a process that was asked for it, as an exit code of ours: a signal may end it before it could heed it."""
    if code >= 0:
        return code
    return DONE if -code in {signal.SIGTERM, signal.SIGINT} else FAILED
