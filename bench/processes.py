"""The processes that are measured: pillars, started as users start them, and the bench's own programs."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import msgspec

HERE = Path(__file__).parent
PACKAGE = __package__ or "bench"  # pillars.bench where it was installed with the wheel
ROOT = HERE.parents[PACKAGE.count(".")]  # where that package is imported from
PROJECT = HERE / "project"
START = 30.0  # seconds
LOOK = 0.01  # seconds
LONGEST = 7200.0  # seconds for one answer
LINE = 1 << 24  # bytes of one answer


@dataclass(frozen=True, slots=True)
class Program:
    """A running program of the bench's own: told to go, it answers once."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def go(self) -> dict[str, Any]:
        """Give the word, and wait for what it has to say."""
        self.start()
        return await self.answer()

    def start(self) -> None:
        if self.process.stdin is None:
            raise AssertionError("started without a pipe")
        self.process.stdin.write(b"go\n")

    async def answer(self, within: float = LONGEST) -> dict[str, Any]:
        if self.process.stdout is None:
            raise AssertionError("started without a pipe")
        with anyio.fail_after(within):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("a program of the bench has failed; see above")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer


@asynccontextmanager
async def program(
    module: str,
    role: str,
    *,
    environ: dict[str, str] | None = None,
    python: str = sys.executable,
    **arguments: Any,
) -> AsyncIterator[Program]:
    """Start `python -m bench.<module> <role>` and wait until it is ready."""
    words = ["-m", f"{PACKAGE}.{module}", role, msgspec.json.encode(arguments).decode()]
    process = await asyncio.create_subprocess_exec(
        python, *words, env=environ_of(environ or {}), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE,
    )  # fmt: skip
    started = Program(process)
    try:
        await started.answer(START)
        yield started
    finally:
        await end(process)


@dataclass(frozen=True, slots=True)
class Pillar:
    """A running `app web`, `app worker` or `app cron`."""

    process: asyncio.subprocess.Process
    log: Path
    port: int
    """Of the web pillar, or of its health."""

    @property
    def pid(self) -> int:
        return self.process.pid


@asynccontextmanager
async def pillar(
    folder: Path,
    url: str,
    *words: str,
    environ: dict[str, str] | None = None,
    project: Path = PROJECT,
) -> AsyncIterator[Pillar]:
    """Start `app` with these words and wait until it says that it is ready."""
    log = folder / f"{words[0]}-{len(list(folder.glob('*.log')))}.log"
    settings = settings_of(url) | (environ or {})
    port = free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pillars", *words, *_health(words[0], port), env=environ_of(settings), cwd=project,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    try:
        await _until_ready(process, port, log)
        yield Pillar(process, log, port)
    finally:
        await end(process)


def settings_of(url: str) -> dict[str, str]:
    """What every pillar is told."""
    return {"DATABASE_URL": url, "PILLARS_ENV": "prod", "HOST": "127.0.0.1", "LOG_FORMAT": "json"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _health(command: str, port: int) -> list[str]:
    return ["--port" if command == "web" else "--health-port", str(port)]


async def _until_ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """By its health check: how much it logs is the benchmark's to choose."""
    with anyio.move_on_after(START):
        while process.returncode is None:
            if await _is_ready(port):
                return
            await asyncio.sleep(LOOK)
    raise RuntimeError(f"not ready: {log.read_text('utf-8', 'replace')[-2000:]}")


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /api/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status = await reader.readline()
    writer.close()
    return b" 200 " in status


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(10):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


def environ_of(more: dict[str, str]) -> dict[str, str]:
    """A clean environment: what the shell has set for other things changes no figure."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "BENCH_PACKAGE": PACKAGE, **more}


def pids(started: Sequence[Program | Pillar]) -> list[int]:
    return [one.pid for one in started]
