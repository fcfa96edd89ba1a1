"""How soon each process is ready from nothing, and how much memory it then has."""

import asyncio
import sys
import time
from functools import partial

import anyio

from ..meter import rss_mb
from ..processes import PROJECT, START, end, environ_of, free_port, program, settings_of
from ..running import Bench, Figures, Workload

NOTHING = ("-c", "pass")
HELP = ("-m", "pillars", "--help")


async def command(_bench: Bench, *, words: tuple[str, ...]) -> Figures:
    """From the start of Python to its end."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=PROJECT, env=environ_of({}), stdout=asyncio.subprocess.DEVNULL
    )
    code = await process.wait()
    if code:
        raise AssertionError(f"{' '.join(words)} ended with {code}")
    return {"ready_ms": (time.perf_counter() - began) * 1000}


async def raw(bench: Bench) -> Figures:
    """The raw loop, until it listens."""
    marks = bench.marks(1)
    async with bench.database() as database:
        began = time.perf_counter()
        async with program("raw", "listen", url=database.url, environ=marks.environ) as started:
            return {
                "ready_ms": (time.perf_counter() - began) * 1000,
                "rss_mb": rss_mb(started.pid),
            }


async def role(bench: Bench, *, name: str) -> Figures:
    """`app web`, `app worker` or `app cron`, until it logs that it is ready."""
    environ = bench.marks(1).environ | {"PORT": str(free_port())}
    async with bench.database() as database:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pillars", name, cwd=PROJECT, env=environ_of(settings_of(database.url) | environ),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            await _until_says(process, f"{name}.ready")
            took = time.perf_counter() - began
            return {"ready_ms": took * 1000, "rss_mb": rss_mb(process.pid)}
        finally:
            await end(process)


async def _until_says(process: asyncio.subprocess.Process, word: str) -> None:
    if process.stdout is None:
        raise AssertionError("started without a pipe")
    said = b""
    with anyio.fail_after(START):
        while word.encode() not in said:
            line = await process.stdout.readline()
            if not line:
                raise RuntimeError(f"ended before {word}: {said.decode('utf-8', 'replace')}")
            said += line


STARTING = Workload(
    "start",
    "from nothing to ready, and the memory that is then resident",
    {
        "python": partial(command, words=NOTHING),
        "raw": raw,
        "app --help": partial(command, words=HELP),
        "web": partial(role, name="web"),
        "worker": partial(role, name="worker"),
        "cron": partial(role, name="cron"),
    },
    compares="ready_ms",
    against={"app --help": "python", "web": "raw", "worker": "raw", "cron": "raw"},
)
