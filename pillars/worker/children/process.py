"""A child while it lives: its descriptors, its signals, its end. All on the worker's loop, by callbacks; nothing here waits."""

import asyncio
import errno
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pillars.jobs.children import Child
from pillars.worker.children.lines import Lines
from pillars.worker.children.warding import Warden

LAUNCH = Path(__file__).with_name("launch.py")
READ = 16_384  # bytes at once: at worst as many lines, for which the loop has time
READ_OF_ANSWERS = 8_192  # each line of them is understood
# What is read before others have their turn, and how long they have it: 13 MB a second at most, of which a worker's loop takes no harm.
MOST_A_TURN, TURN = 262_144, 0.02
UNKNOWN = 255  # of an exit code
STREAMS = ("stdout", "stderr")
LONGEST_ANSWER = 16_000_000  # bytes: a result is refused at five million


class Listening(Protocol):
    """Whoever has a child run a job."""

    @property
    def full(self) -> bool:
        """Whether it had better read on later."""

    def answered(self, line: bytes) -> None:
        """It wrote a line for the worker."""

    def printed(self, stream: str, line: bytes, left_out: int) -> None:
        """It printed a line, of which so many bytes are left out."""

    def ended(self, code: int) -> None:
        """It is no more: its exit code, or a signal's number below zero."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started, and how."""

    words: Sequence[str]
    environ: Mapping[str, str]
    child: Child
    cpu_seconds: int | None = None
    """Of the process in all."""


class _Inlet:
    """One pipe that the child writes to."""

    def __init__(
        self, descriptor: int, on_data: Callable[[bytes], None], lines: Lines, *, size: int = READ
    ) -> None:
        self.descriptor = descriptor
        self.on_data = on_data
        self.lines = lines
        self.size = size
        """Bytes to read at once."""
        self.read = 0
        """Bytes of this turn."""
        self.last: bytes | None = None
        """Once nobody wants its lines any more: what came last."""
        self.resting: asyncio.TimerHandle | None = None


class ChildProcess:
    """A process that leads a session and a group of its own.

    Its number stays its own until its end was seen: it is waited for last, after its group was killed, so no signal can reach another.
    """

    def __init__(self, launch: Launch, warden: Warden) -> None:
        self._loop = asyncio.get_running_loop()
        self._warden = warden
        self.listening: Listening | None = None
        """Whom its lines and its end are told; what it prints meanwhile is nobody's."""
        self.jobs = 0
        """That it was given."""
        self.gone = asyncio.Event()
        """Set once its end was seen."""
        self._outgoing = bytearray()
        self._hangs_up = False
        self._at_tail = False
        """Whether the last lines of a flood are told."""
        self._last_call: asyncio.TimerHandle | None = None
        self._orders: int | None
        self._end: int | None = None
        """A descriptor that can be read once its leader has ended."""
        self._popen, self._orders, pipes = _started(launch)
        self.pid = self._popen.pid
        self._inlets = [
            _Inlet(pipes[0], self._answered, Lines(LONGEST_ANSWER), size=READ_OF_ANSWERS),
            *(
                _Inlet(pipe, self._printed_by(name), Lines())
                for pipe, name in zip(pipes[1:], STREAMS, strict=True)
            ),
        ]
        try:
            warden.watch(self.pid)
            self._end = _watch_end(self._loop, self.pid, self._ended)
        except BaseException:  # nobody would see to its end
            self._give_up()
            raise
        for inlet in self._inlets:
            self._loop.add_reader(inlet.descriptor, self._read, inlet)

    def _give_up(self) -> None:
        """It was just started, and is not to be."""
        self.signal(signal.SIGKILL)
        self.gone.set()
        _reaped(self._popen)
        self._warden.forget(self.pid)
        self._close()

    def order(self, line: bytes) -> None:
        """Write it a line, as soon as it reads."""
        if self._orders is None:
            return
        self._outgoing += line + b"\n"
        self._write()

    def signal(self, number: int) -> None:
        """Send it to all of its group; to nobody once its end was seen."""
        if not self.gone.is_set():
            with suppress(ProcessLookupError, PermissionError):  # gone, or another user's by now
                os.killpg(self.pid, number)

    def hang_up(self, *, patience: float) -> None:
        """Tell it that no order will come, and kill it if it has not ended soon."""
        self._hangs_up = True
        self._write()
        if self._last_call is None and not self.gone.is_set():
            self._last_call = self._loop.call_later(patience, self.signal, signal.SIGKILL)

    def _write(self) -> None:
        if self._orders is None:
            return
        try:
            while self._outgoing:
                del self._outgoing[: os.write(self._orders, self._outgoing[:READ])]
        except BlockingIOError:
            self._loop.add_writer(self._orders, self._write)
            return
        except OSError:  # it has closed its side: whatever it does without
            self._outgoing.clear()
            self._hangs_up = True
        self._loop.remove_writer(self._orders)
        if self._hangs_up:
            os.close(self._orders)
            self._orders = None

    def _read(self, inlet: _Inlet) -> None:
        """Once: others have their turn between."""
        if (
            self._take(inlet)
            and inlet.last is None
            and (inlet.read >= MOST_A_TURN or self._is_full())
        ):
            self._loop.remove_reader(inlet.descriptor)
            inlet.resting = self._loop.call_later(TURN, self._go_on, inlet)

    def _is_full(self) -> bool:
        return self.listening is not None and self.listening.full

    def _go_on(self, inlet: _Inlet) -> None:
        inlet.resting, inlet.read = None, 0
        self._loop.add_reader(inlet.descriptor, self._read, inlet)

    def _take(self, inlet: _Inlet) -> bool:
        """Read what there is, up to the inlet's size; returns whether there may be more."""
        try:
            data = os.read(inlet.descriptor, inlet.size)
        except OSError as error:
            return error.errno == errno.EINTR
        if data:
            inlet.read += len(data)
            if inlet.last is None:
                inlet.on_data(data)
            else:
                inlet.last = data
            return True
        self._loop.remove_reader(inlet.descriptor)
        return False

    def hush(self) -> None:
        """Nobody wants what it prints any more: read it, so that it can go on, and make no lines of it."""
        for inlet in self._inlets[1:]:
            inlet.last = inlet.last or b""

    def unhush(self) -> None:
        """Somebody wants the last lines of what it has printed meanwhile, and all that it prints from now on."""
        for inlet in self._inlets[1:]:
            last, inlet.last = inlet.last, None
            if last:
                self._at_tail = True
                inlet.on_data(last)
                self._at_tail = False

    def end_lines(self) -> None:
        """What it has printed is a line, though it did not end it."""
        for inlet, name in zip(self._inlets[1:], STREAMS, strict=True):
            for line, left_out in inlet.lines.rest():
                if self.listening is not None:
                    self.listening.printed(name, line, left_out)

    def drain(self) -> None:
        """Read what it has printed so far."""
        for inlet in self._inlets[1:]:
            self._exhaust(inlet)

    def _exhaust(self, inlet: _Inlet) -> None:
        inlet.read = 0
        while inlet.read < MOST_A_TURN and self._take(inlet):
            pass

    def _answered(self, data: bytes) -> None:
        for line, left_out in self._inlets[0].lines.feed(data):
            if self.listening is not None and not left_out:
                self.listening.answered(line)

    def _printed_by(self, name: str) -> Callable[[bytes], None]:
        place = 1 if name == "stdout" else 2

        def printed(data: bytes) -> None:
            inlet = self._inlets[place]
            for told, (line, left_out) in enumerate(inlet.lines.feed(data)):
                if inlet.last is not None and not self._at_tail:  # nobody wants more
                    inlet.last = data.split(b"\n", told)[told]
                    return
                if self.listening is not None:
                    self.listening.printed(name, line, left_out)

        return printed

    def _ended(self) -> None:
        """Its leader has ended and bears its number still: the last moment at which its group is surely ours."""
        self._stop_watching()
        for inlet in self._inlets:
            self._exhaust(inlet)
        self.signal(signal.SIGKILL)
        self.gone.set()
        code = _reaped(self._popen)
        self._warden.forget(self.pid)
        self._close()
        self.unhush()
        self.end_lines()
        if self.listening is not None:
            self.listening.ended(code)

    def _close(self) -> None:
        if self._last_call is not None:
            self._last_call.cancel()
        for inlet in self._inlets:
            if inlet.resting is not None:
                inlet.resting.cancel()
            self._loop.remove_reader(inlet.descriptor)
            os.close(inlet.descriptor)
        if self._orders is not None:
            self._loop.remove_writer(self._orders)
            os.close(self._orders)
            self._orders = None
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._end is not None:
            self._loop.remove_reader(self._end)
            os.close(self._end)
            self._end = None


def _started(launch: Launch) -> tuple["subprocess.Popen[bytes]", int, list[int]]:
    """The process, the descriptor that writes to it, and those that read what it answers and prints. Raises `OSError`."""
    reads, orders, *others = _pipes(4)
    inlets = list(zip(others[::2], others[1::2], strict=True))
    answers, out, error = (write for _, write in inlets)
    child = launch.child
    told = {
        "reads": reads, "writes": answers, "parent": os.getpid(), "memory": child.bytes, "cpu_seconds": launch.cpu_seconds,
    }  # fmt: skip
    ours = [orders, *(read for read, _ in inlets)]
    try:
        popen = subprocess.Popen(  # noqa: S603 - the words are the developer's, each argument stays within its own
            [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(told), *launch.words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
            pass_fds=(reads, answers),
            env=dict(launch.environ),
            cwd=child.folder,
            start_new_session=True,
        )
    except BaseException:
        for one in ours:
            os.close(one)
        raise
    finally:
        for one in (reads, answers, out, error):
            os.close(one)
    for one in ours:
        os.set_blocking(one, False)
    return popen, orders, ours[1:]


def _pipes(count: int) -> list[int]:
    """The descriptors of so many pipes, each to read and to write; none is left open where the system has not all."""
    made: list[int] = []
    try:
        for _ in range(count):
            made += os.pipe()
    except OSError:
        for one in made:
            os.close(one)
        raise
    return made


def _reaped(popen: "subprocess.Popen[bytes]") -> int:
    """Its exit code; 255 where the app's own code has waited for it before us."""
    try:
        _, status = os.waitpid(popen.pid, 0)
    except ChildProcessError:
        popen.returncode = UNKNOWN
    else:
        popen.returncode = os.waitstatus_to_exitcode(status)
    return popen.returncode


def _watch_end(loop: asyncio.AbstractEventLoop, pid: int, ended: Callable[[], None]) -> int | None:
    """Have `ended` called once the process has ended, before it is waited for; returns the descriptor that tells. Raises `OSError`."""
    if sys.platform == "linux":
        descriptor = os.pidfd_open(pid)
    else:
        queue = select.kqueue()
        event = select.kevent(
            pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, select.KQ_NOTE_EXIT
        )
        queue.control([event], 0)
        descriptor = os.dup(queue.fileno())
    loop.add_reader(descriptor, ended)
    return descriptor
