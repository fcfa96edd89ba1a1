"""A real Postgres for the run, a migrated database for each test."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import hypothesis
import pytest

from pillars import embedded
from pillars.jobs.connected import using
from pillars.store import migrate, statements
from pillars.store.database import Database
from pillars.store.pool import Address
from support import with_database

ROOT = Path(__file__).parent.parent
PROGRAMS: dict[str, Callable[[], object]] = {
    "chromium": lambda: shutil.which("chromium"),
    "pgbouncer": lambda: shutil.which("pgbouncer") or Path("/usr/sbin/pgbouncer").exists(),
    "systemd-analyze": lambda: shutil.which("systemd-analyze"),
    "postgres-15": lambda: Path("/usr/lib/postgresql/15/bin/postgres").exists(),
}
WORKERS_A_CORE = 2
# Tests share the machine with each other: how long one example takes says nothing.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared")
LEAST_TMPFS = 1 << 30  # bytes; Docker's default /dev/shm of 64 MB holds no cluster
CLOCK = """
create schema pillars_test;
create table pillars_test.clock (shift interval not null);
insert into pillars_test.clock values ('0');
create or replace function pillars.now() returns timestamptz language sql stable
return pg_catalog.now() + (select clock.shift from pillars_test.clock clock);
"""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers a core, since most tests wait for processes; none, so that a debugger works, where only some are asked for."""
    whole = all(Path(argument).is_dir() for argument in config.args) and not config.option.keyword
    return WORKERS_A_CORE * (os.cpu_count() or 1) if whole else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by its name, what needs a program that is not here; where all must be here, a skip is a failure."""
    for item in items:
        for mark in item.iter_markers("needs"):
            (program,) = mark.args
            if not PROGRAMS[program]():
                item.add_marker(pytest.mark.skip(reason=f"needs {program}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (
        os.environ.get("PILLARS_TEST_ALL") == "1"
        and report.skipped
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped under PILLARS_TEST_ALL=1: {report.longrepr}"
    return report


def pytest_report_header() -> str:
    return f"postgres on: {_root().parent}"


def _root() -> Path:
    """One folder a checkout, in memory where there is enough of it, shared by all workers of a run."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > LEAST_TMPFS
    name = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    return (
        memory if roomy else Path(tempfile.gettempdir())
    ) / f"pillars-tests-{os.getuid()}-{name}"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a Postgres that is as fast as it can be and forgets all at a crash."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    cluster = embedded.cluster(
        _root(),
        binaries=os.environ.get("TEST_PG_BIN"),
        settings=embedded.TEST_SETTINGS,
        idle=timedelta(seconds=2),
    )
    with embedded.start(cluster) as running:
        yield running.url


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a migrated database that nobody is connected to, made once for these migrations."""
    return asyncio.run(_template(server))


@pytest.fixture
async def db(server: str, template: str) -> AsyncIterator[str]:
    """The URL of a database of the test's own: the runtime's and the starter's schema, and a clock that tests move."""
    async with _copied(server, template) as url:
        yield url


@pytest.fixture
async def other_db(server: str, template: str) -> AsyncIterator[str]:
    """A second one, for what must not be mixed up."""
    async with _copied(server, template) as url:
        yield url


@asynccontextmanager
async def _copied(server: str, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f'create database "{name}" template "{template}" strategy file_copy')
        yield with_database(server, name)
        await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def empty_db(server: str) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f'create database "{name}" template template0')
        yield with_database(server, name)
        await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def database(db: str) -> AsyncIterator[Database]:
    """An opened `Database` on `db`, which is also where jobs are enqueued."""
    async with using(Database(db)) as opened:
        yield opened


async def _template(server: str) -> str:
    migrations = [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")]
    content = CLOCK + "".join(one.sql for one in migrations) + statements.text("ledger/prepare")
    content += str(datetime.now(UTC).date())  # it holds the days of history around it
    name = f"template_{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute("select pg_advisory_lock(7)")
        if not await admin.fetchval(
            "select 1 from pg_database where datname = $1 and datistemplate", name
        ):
            await admin.execute(f'drop database if exists "{name}" with (force)')
            await admin.execute(f'create database "{name}" template template0')
            await _fill(with_database(server, name), migrations)
            await admin.execute(
                f'alter database "{name}" with is_template true allow_connections false'
            )
    finally:
        await admin.close()
    return name


async def _fill(url: str, migrations: list[migrate.Migration]) -> None:
    await migrate.migrate(Address(url), migrations)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(CLOCK)
    finally:
        await connection.close()
