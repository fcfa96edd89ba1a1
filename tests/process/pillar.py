"""Real `app …` processes for tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from support import COUNTING, MEASURED, until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROJECT = HERE / "project"


class App:
    """One process of `app`, its output kept in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ready(self) -> None:
        await until(lambda: ".ready" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    async def ended(self) -> int:
        """Wait for the exit code."""
        with anyio.fail_after(30):
            return await anyio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)


@contextmanager
def app(
    folder: Path,
    dsn: str | None,
    *words: str,
    project: Path = PROJECT,
    within: Sequence[str] = (),
    **environ: str,
) -> Iterator[App]:
    """Start `app` with these words, behind those of a program that becomes it; it is killed at the end of the block where it still runs."""
    log = folder / f"{words[0]}-{len(list(folder.glob('*.log')))}.log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join((str(ROOT), COUNTING)),
        "LOG_FORMAT": "json",
        "PILLARS_ENV": "prod",
        "PILLARS_SQL": str(ROOT / "sql" / "app"),
        **({"DATABASE_URL": dsn} if dsn else {}),
        **({} if "PYTHONPATH" in environ else MEASURED),  # other code is not counted
        **environ,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "pillars", *words],
            cwd=project, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield App(process, log)
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def ready_app(
    folder: Path, dsn: str, *words: str, project: Path = PROJECT, **environ: str
) -> AsyncIterator[App]:
    """As `app`, once it says that it is ready."""
    environ.setdefault("PILLARS_LOCK", "5s")
    with app(folder, dsn, *words, project=project, **environ) as started:
        await started.ready()
        yield started


def told(app: App, event: str, **said: object) -> list[dict[str, object]]:
    """The log lines of a process with this event and these facts. The last one may still be on its way."""
    whole = app.output.rpartition("\n")[0]
    found = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event and said.items() <= line.items()]
