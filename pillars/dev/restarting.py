"""Keeping pillars running: honcho ends everything with the first process that ends, `app dev` starts a pillar again."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

from honcho.manager import KILL_WAIT, SYSTEM_PRINTER_NAME, Manager
from honcho.printer import Message, Printer
from honcho.process import Process

from pillars.service.fleet import pause_after

USAGE = 2  # a wrong setting, a port that is taken: it would end for ever
GLANCE = 0.5  # seconds between two looks at whether `app dev` still lives


@dataclass(frozen=True, slots=True)
class Ended:
    """A pillar that waits to be started again; `stop` is honcho's message about its end."""

    stop: Any
    due: float


class Child(Process):  # type: ignore[misc] # honcho is untyped
    """A process as honcho watches it, from a process of its own; it ends with `app dev`, however that ends."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:  # noqa: FBT001, FBT002 - honcho's signature
        # A terminal that closes ends `app dev`; the watching process stays to see to its child.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        threading.Thread(target=self._follow, args=(os.getppid(), events), daemon=True).start()
        super().run(events, ignore_signals)

    def _follow(self, parent: int, events: Any) -> None:
        while os.getppid() == parent:
            time.sleep(GLANCE)
        events.cancel_join_thread()  # nobody reads any more
        if self._child is not None:
            _signal_group(self._child.pid, signal.SIGTERM)
            time.sleep(KILL_WAIT)
            _signal_group(self._child.pid, signal.SIGKILL)


class Events(Queue):  # type: ignore[type-arg] # not subscriptable before 3.12
    """What processes tell honcho's loop. The end of a pillar is held back, and the pillar started again when it is due."""

    def __init__(self, pillars: Collection[str]) -> None:
        super().__init__(ctx=multiprocessing.get_context())
        self.ending = False
        self.children: dict[str, Child] = {}
        self._pillars = pillars
        self._began: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._ended: dict[str, Ended] = {}

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - a queue's signature
        """The next message; while everything is being ended, first those held back."""
        if self.ending and self._ended:
            return self._ended.popitem()[1].stop
        self._start_due()
        message = super().get(block, timeout)
        if message.type == "start":
            self._began[message.name] = time.monotonic()
            if self.ending:  # the signal came while it was being started, and missed it
                _signal_group(message.data["pid"], signal.SIGTERM)
        elif message.type == "stop" and self._is_to_run(message):
            return self._hold(message)
        return message

    def _is_to_run(self, stop: Any) -> bool:
        code = stop.data["returncode"]
        return not self.ending and stop.name in self._pillars and code != USAGE

    def _hold(self, stop: Any) -> Any:
        now = time.monotonic()
        ran = now - self._began[stop.name]
        pause = pause_after(self._pauses.get(stop.name), ran=ran)
        self._pauses[stop.name] = pause
        self._ended[stop.name] = Ended(stop, now + pause)
        code = stop.data["returncode"]
        text = f"{stop.name} ended with {code}; starting it again in {pause:g} s\n"
        return Message("line", text, stop.time, SYSTEM_PRINTER_NAME, None)

    def _start_due(self) -> None:
        now = time.monotonic()
        for name in [name for name, ended in self._ended.items() if ended.due <= now]:
            if self.ending:
                return
            del self._ended[name]
            child = self.children[name]
            multiprocessing.Process(name=name, target=child.run, args=(self, True)).start()


class Restarter(Manager):  # type: ignore[misc] # honcho is untyped
    """honcho's, except that a pillar which ended without being asked to is started again; any other end ends all."""

    def __init__(self, printer: Printer, *, pillars: Collection[str]) -> None:
        super().__init__(printer)
        self.events: Events = Events(pillars)
        self._process_ctor = Child

    def add_process(self, name: str, cmd: str, **options: Any) -> Child:
        """Add a process, to be started by `loop()`."""
        child: Child = super().add_process(name, cmd, **options)
        self.events.children[name] = child
        return child

    def terminate(self) -> None:
        """End every process; from now on none is started again."""
        self.events.ending = True
        super().terminate()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
