"""The pytest plugin: `app_database`, `jobs`, `sync_jobs`. Every run of pytest imports this, so it imports nothing that costs.

The fixtures are plain functions, not async ones: they work alike under pytest-asyncio, in whichever mode, under anyio's plugin, and in
tests without a loop.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pillars.testing.house import House
    from pillars.testing.jobs import Jobs, SyncJobs
    from pillars.testing.stage import Stage


@pytest.fixture(scope="session")
def _pillars_house(pytestconfig: pytest.Config) -> Iterator["House"]:
    """What the tests of this process share: a server, the template of their databases, the app's jobs and schedules."""
    from pillars.testing.house import house

    with house(pytestconfig.rootpath) as opened:
        yield opened


@pytest.fixture
def app_database(_pillars_house: "House") -> Iterator[str]:
    """The URL of a database of the test's own, with the app's migrations and a clock that the test moves.

    For the length of the test it is also `DATABASE_URL` in the environment.
    """
    with _pillars_house.database() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        environment.setenv("DATABASE_DIRECT_URL", url)
        yield url


@pytest.fixture
def _pillars_stage(
    _pillars_house: "House", app_database: str, request: pytest.FixtureRequest
) -> Iterator["Stage"]:
    """One for `jobs` and `sync_jobs`, where a test has both."""
    from pillars.testing.stage import stage

    with stage(_pillars_house, app_database, getattr(request, "module", None)) as made:
        yield made


@pytest.fixture
def jobs(_pillars_stage: "Stage") -> "Jobs":
    """The jobs of `app_database`: the code under test enqueues there, the test runs them, moves time and asserts."""
    from pillars.testing.jobs import Jobs

    return Jobs(_pillars_stage)


@pytest.fixture
def sync_jobs(_pillars_stage: "Stage") -> "SyncJobs":
    """As `jobs`, for a test that is no coroutine: what runs jobs is called, not awaited."""
    from pillars.testing.jobs import SyncJobs

    return SyncJobs(_pillars_stage)
