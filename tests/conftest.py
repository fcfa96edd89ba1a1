"""A real Postgres for the run, a migrated database for each test."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from pillars.embedded import binaries
from pillars.jobs.connected import using
from pillars.store.database import Database
from pillars.testing.house import House, root_of

ROOT = Path(__file__).parent.parent
pytest_plugins = ["pytester"]
PROGRAMS: dict[str, Callable[[], object]] = {
    "chromium": lambda: shutil.which("chromium"),
    "pgbouncer": lambda: shutil.which("pgbouncer") or Path("/usr/sbin/pgbouncer").exists(),
    "spin": lambda: shutil.which("spin") and shutil.which("gcc"),
    "systemd-analyze": lambda: shutil.which("systemd-analyze"),
    "postgres-17": lambda: binaries.major(binaries.find_binaries()) >= 17,
    "postgres-15": lambda: Path("/usr/lib/postgresql/15/bin/postgres").exists(),
}
WORKERS_A_CORE = 2
# Tests share the machine with each other: how long one example takes says nothing.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared")


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
    return f"postgres on: {root_of(ROOT).parent}"


@pytest.fixture(scope="session")
def server(_pillars_house: House) -> str:
    """The URL of a Postgres that is as fast as it can be and forgets all at a crash."""
    return _pillars_house.server


@pytest.fixture(scope="session")
def template(_pillars_house: House) -> str:
    """The name of a migrated database that nobody is connected to."""
    return str(_pillars_house.portal.call(_pillars_house.databases.template))


@pytest.fixture
def db(_pillars_house: House) -> Iterator[str]:
    """The URL of a database of the test's own: the runtime's and the starter's schema, and a clock that tests move.

    As `app_database`, and the environment knows nothing of it.
    """
    with _pillars_house.database() as url:
        yield url


@pytest.fixture
def other_db(_pillars_house: House) -> Iterator[str]:
    """A second one, for what must not be mixed up."""
    with _pillars_house.database() as url:
        yield url


@pytest.fixture
def empty_db(_pillars_house: House) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with _pillars_house.database(empty=True) as url:
        yield url


@pytest.fixture
async def database(db: str) -> AsyncIterator[Database]:
    """An opened `Database` on `db`, which is also where jobs are enqueued."""
    async with using(Database(db)) as opened:
        yield opened
