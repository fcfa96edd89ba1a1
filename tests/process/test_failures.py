"""What is told of pillars that fail, and the exit code that it comes to."""

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from pillars.cli.ending import code_of
from pillars.errors import ConfigurationError
from pillars.service import running
from pillars.service.process import Process, Role, together
from pillars.service.running import HEEDED, supervise
from pillars.store.database import Database
from support import settings_for

TAKEN = ConfigurationError("port 8000 is in use")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A process that supervises is about to end; this one goes on."""
    before = {number: signal.getsignal(number) for number in HEEDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Plays:
    """A pillar that does what a test has it do."""

    def __init__(self, process: Process, act: Callable[[Process], Awaitable[None]]) -> None:
        self.process = process
        self._act = act

    async def run(self) -> None:
        await self._act(self.process)


def playing(
    database: Database, **acts: Callable[[Process], Awaitable[None]]
) -> list[running.Pillar]:
    roles: list[Role] = [role for role in ("web", "worker", "cron") if role in acts]
    made = together(roles, settings_for(database.address.url), database)
    return [Plays(process, acts[process.role]) for process in made]


async def fails(_process: Process) -> None:
    raise TAKEN


async def fails_in_the_drain(process: Process) -> None:
    await process.stopping.wait()
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        raise RuntimeError("its bug")


def failures(lines: Sequence[MutableMapping[str, Any]]) -> list[tuple[str, str]]:
    return [(one["role"], one["error"]) for one in lines if one["event"] == "service.failed"]


async def test_the_first_failure_is_raised_and_every_one_is_in_the_log(
    database: Database,
) -> None:
    pillars = playing(database, web=fails, worker=fails_in_the_drain)
    with capture_logs() as lines, pytest.raises(ConfigurationError, match="port 8000 is in use"):
        await supervise(pillars, name="all", code_of=code_of)
    assert failures(lines) == [
        ("web", "ConfigurationError: port 8000 is in use"),
        ("worker", "RuntimeError: its bug"),
    ]


async def test_of_one_pillar_what_fails_beside_it_is_in_the_log_and_its_own_failure_is_raised(
    database: Database,
) -> None:
    async def beside() -> None:
        raise RuntimeError("beside")

    pillars = playing(database, worker=fails_in_the_drain)
    with capture_logs() as lines, pytest.raises(RuntimeError, match="beside"):
        await supervise(pillars, beside, name="worker", code_of=code_of)
    assert failures(lines) == [
        ("companion", "RuntimeError: beside"),
        ("worker", "RuntimeError: its bug"),
    ]


async def test_where_code_heeds_no_cancellation_the_exit_code_is_still_that_of_the_failure(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    left = anyio.Event()

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    async def outlives_the_drain(process: Process) -> None:
        await process.stopping.wait()
        process.ended.set()
        await left.wait()

    monkeypatch.setattr(running, "leave", leave)
    pillars = playing(database, web=fails, worker=outlives_the_drain)
    with pytest.raises(ConfigurationError):
        await supervise(pillars, name="all", code_of=code_of)
    assert codes == [2]
    assert capsys.readouterr().err.splitlines()[-1] == "app: port 8000 is in use"


LEAVES = """
import os, signal, threading
from pillars.service import running

lock, end = threading.Lock(), os._exit

def tracer(*_):
    with lock:
        pass

def exiting(code):
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        end(code)

for number in running.HEEDED:
    signal.signal(number, tracer)
os._exit = exiting
running.leave(3)
"""


def test_a_signal_does_not_break_into_an_end_whose_locks_its_handler_would_ask_for() -> None:
    """As coverage's patch of os._exit: it holds a lock that it asks for wherever Python code runs."""
    done = subprocess.run([sys.executable, "-c", LEAVES], timeout=60, check=False)
    assert done.returncode == 3
