"""What the tests of one process share."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from anyio.from_thread import BlockingPortal, start_blocking_portal

from pillars import registry, settings
from pillars.registry import Registry
from pillars.settings import Settings, convert
from pillars.store import migrate
from pillars.testing.databases import Databases

LEAST_MEMORY = 1 << 30  # bytes; Docker's default /dev/shm of 64 MB holds no cluster
IDLE = timedelta(seconds=2)  # the server outlives its last run by so much


@dataclass(frozen=True)
class House:
    """One server, one loop beside the tests, and what the app defines. Blocking: for fixtures that are plain functions."""

    settings: Settings
    portal: BlockingPortal
    server: str
    """The server's URL."""
    databases: Databases

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """A database for the block: migrated, or with nothing in it."""
        make = self.databases.empty if empty else self.databases.migrated
        url = self.portal.call(make)
        try:
            yield url
        finally:
            self.portal.call(self.databases.drop, url)

    @cached_property
    def registry(self) -> Registry:
        """The app's jobs and schedules; raises as `app worker` would."""
        told = self.settings
        web = told.web.partition(":")[0] if told.web else None
        return registry.load(project=told.project, jobs=told.jobs, crons=told.crons, leave=web)

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop beside the tests."""
        return self.portal.call(asyncio.get_running_loop)


@contextmanager
def house(project: Path) -> Iterator[House]:
    """The house of the app in the folder `project`: on `TEST_DATABASE_URL`, or on a Postgres of our own."""
    # Whatever the shell says of DATABASE_URL: it is no concern of tests.
    told = settings.load(flags={"env": "dev"}, project=project)
    migrations = [*migrate.of_runtime(), *migrate.in_folder("app", told.project / told.sql)]
    with server(told) as url, start_blocking_portal() as portal:
        databases = Databases(url, migrations, project=told.project)
        portal.call(databases.open)
        try:
            yield House(told, portal, url, databases)
        finally:
            portal.call(databases.close)


@contextmanager
def server(told: Settings) -> Iterator[str]:
    """The URL of a server: the one that is given, or ours, which is as fast as it can be and forgets all at a crash."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield convert.database_url(given, "TEST_DATABASE_URL")
        return
    from pillars import embedded

    cluster = embedded.cluster(
        root_of(told.project),
        binaries=os.environ.get("TEST_PG_BIN") or told.postgres_bin,
        settings=embedded.TEST_SETTINGS,
        idle=IDLE,
    )
    with embedded.start(cluster) as running:
        yield running.url


def root_of(project: Path) -> Path:
    """Where the tests of a project have their Postgres: in memory where there is enough of it, shared by all processes of a run."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is ours alone, by its owner and mode
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > LEAST_MEMORY
    name = hashlib.sha256(str(project).encode()).hexdigest()[:12]
    return (memory if roomy else Path(tempfile.gettempdir())) / f"pillars-tests-{_user()}-{name}"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
