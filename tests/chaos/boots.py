"""C7: processes of every kind that boot at once on an empty database; then each migration was applied once, and each process stands or said why not."""

import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from chaos.crowd import PROJECT, UNMEASURED
from chaos.report import Report
from chaos.server import served
from pillars.store import migrate
from process.pillar import ROOT, App, app
from support import ask, tell, until

Kind = tuple[str, str]
WORKER: Kind = ("worker", "prod")
KINDS: tuple[Kind, ...] = (
    *[("migrate", "prod")] * 2, *[WORKER] * 2, ("worker", "dev"), ("cron", "dev"), ("web", "dev"),
)  # fmt: skip
"""What is started, and where: in development everything migrates first, in production `app migrate` alone."""
REFUSAL = "run: app migrate"
LIMIT = 60.0  # seconds until each stands or has ended; a hang limit
APPLIED = "select count(*) from pillars.migrations"
ENQUEUE = """select pillars.enqueue('storm.work', '{"number": 1, "seconds": 0}')"""
DONE = "select exists (select from pillars.finished_jobs where name = 'storm.work')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boots:
    """How many at once, and how often. The seed draws which."""

    seed: int
    processes: int = 10
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Boot:
    """A process that was started, and as what."""

    kind: Kind
    app: App

    @property
    def code(self) -> int | None:
        return self.app.process.poll()

    @property
    def decided(self) -> bool:
        return self.code is not None or ".ready" in self.app.output

    @property
    def refused(self) -> bool:
        """Whether it ended as it may: it came before the schema, and said which command makes one."""
        return self.kind == WORKER and self.code == 1 and REFUSAL in self.app.output

    @property
    def well(self) -> bool:
        return self.code == (0 if self.kind[0] == "migrate" else None)

    def told(self) -> str:
        return f"{' '.join(self.kind)} ended with {self.code}: {self.app.output[-500:]}"


async def boots(plan: Boots, folder: Path) -> Report:
    """Boot them, each round on a new database."""
    chance = random.Random(plan.seed)
    figures: Counter[str] = Counter()
    broken: list[str] = []
    async with served(folder) as server:
        for number in range(plan.rounds):
            await tell(server.url, f"create database round{number}")
            url = urlsplit(server.url)._replace(path=f"/round{number}").geturl()
            # One that migrates for sure, or nobody might.
            kinds = [KINDS[0], *chance.choices(KINDS, k=plan.processes - 1)]
            chance.shuffle(kinds)
            with ExitStack() as stack:
                broken += await _round(_Round(url, folder, stack), kinds, figures)
    return Report(figures, broken)


@dataclass(frozen=True, slots=True)
class _Round:
    """Where the processes of a round are started; they are killed when its stack ends."""

    url: str
    folder: Path
    stack: ExitStack

    async def booted(self, kinds: Sequence[Kind]) -> list[Boot]:
        """Start all at once; returns once each stands or has ended."""
        started = [Boot(kind, self._start(*kind)) for kind in kinds]
        await until(lambda: all(boot.decided for boot in started), within=LIMIT)
        return started

    def _start(self, word: str, env: str) -> App:
        environ = {"PILLARS_ENV": env, "PORT": "0", "CHAOS_RUNS": str(self.folder), **UNMEASURED}
        return self.stack.enter_context(
            app(self.folder, self.url, word, project=PROJECT, **environ)
        )


async def _round(here: _Round, kinds: Sequence[Kind], figures: Counter[str]) -> list[str]:
    """Boot one before all others, who is refused, then them, then those that came too early again; have a job done, and stop all."""
    early = await here.booted([WORKER])
    first = await here.booted(kinds)
    refused = [boot for boot in [*early, *first] if boot.refused]
    broken = [boot.told() for boot in early if not boot.refused]
    broken += [boot.told() for boot in first if not (boot.well or boot.refused)]
    second = await here.booted([boot.kind for boot in refused])
    broken += [boot.told() for boot in second if not boot.well]
    figures["boots"] += len(early) + len(first) + len(second)
    figures["came before the schema"] += len(refused)
    broken += await _amiss(here.url)
    standing = [boot for boot in [*first, *second] if boot.code is None]
    for boot in standing:
        boot.app.signal(signal.SIGTERM)
    await until(lambda: all(boot.code is not None for boot in standing), within=LIMIT)
    return broken + [boot.told() for boot in standing if boot.code != 0]


async def _amiss(url: str) -> list[str]:
    """What is wrong with the schema that they made together."""
    wanted = len([*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")])
    applied = await ask(url, APPLIED)
    await ask(url, ENQUEUE)
    await until(lambda: ask(url, DONE), within=LIMIT)
    return [] if applied == wanted else [f"{applied} migrations of {wanted} were applied"]
