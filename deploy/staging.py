"""What the acceptance stories stand on: a database as durable as in production, and processes that run on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pillars import embedded
from pillars.store import migrate
from pillars.store.pool import Address
from process.pillar import PROJECT, App, app

ROOT = Path(__file__).parent.parent
LOCK = 30  # seconds, the default

Story = Callable[[Path], Awaitable[None]]


def say(text: str) -> None:
    print(f"    {text}", flush=True)


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """A migrated database on a cluster of its own."""
    settings = {**embedded.DEV_SETTINGS, "shared_preload_libraries": "pg_stat_statements"}
    cluster = embedded.cluster(folder, settings=settings)
    with embedded.start(cluster) as server:
        await migrate.migrate(
            Address(server.url),
            [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql/app")],
        )
        yield server.url
    embedded.stop(cluster)


@asynccontextmanager
async def running(
    folder: Path, url: str, *words: str, project: Path = PROJECT, **environ: str
) -> AsyncIterator[App]:
    """`app WORDS`, once it is ready."""
    with app(folder, url, *words, project=project, **environ) as started:
        await started.ready()
        yield started
