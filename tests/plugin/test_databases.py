"""Databases of tests: whose they are, and what becomes of those that nobody ended."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pillars.store import migrate
from pillars.store.migrate import Migration
from pillars.testing.databases import Databases, database_of, with_database
from support import ask, tell

MORE = Migration("app", 1, "0001_more", "create table more (id integer);")


@asynccontextmanager
async def opened(databases: Databases) -> AsyncIterator[Databases]:
    await databases.open()
    try:
        yield databases
    finally:
        await databases.close()


async def is_there(server: str, url: str) -> bool:
    name = database_of(url)
    return bool(
        await ask(server, "select exists (select from pg_database where datname = $1)", name)
    )


@pytest.fixture
async def run_of(server: str, tmp_path: Path) -> AsyncIterator[Callable[..., Databases]]:
    """Makes runs of one project, and takes away their templates."""

    def make(*more: Migration) -> Databases:
        return Databases(server, [*migrate.of_runtime(), *more], project=tmp_path)

    yield make
    async with opened(make()) as last:
        await last.forget_templates()


async def test_a_run_that_is_gone_left_what_the_next_one_sweeps_and_the_living_keep_theirs(
    server: str, run_of: Callable[..., Databases]
) -> None:
    async with AsyncExitStack() as living:
        async with opened(run_of()) as gone:
            left = await gone.empty()
        alive = await living.enter_async_context(opened(run_of()))
        kept = await alive.empty()
        async with opened(run_of()):
            assert not await is_there(server, left)
            assert await is_there(server, kept)
        await alive.drop(kept)


async def test_a_template_that_nobody_finished_is_made_anew(
    server: str, run_of: Callable[..., Databases]
) -> None:
    async with opened(run_of()) as one:
        name = await one.template()
    await tell(server, f'alter database "{name}" with is_template false allow_connections true')
    await tell(server, f'drop database "{name}"')
    await tell(server, f'create database "{name}"')
    async with opened(run_of()) as another:
        url = await another.migrated()
        assert await ask(url, "select pillars.now() = now()")
        await another.drop(url)


async def test_a_run_goes_on_whose_template_another_has_replaced(
    server: str, run_of: Callable[..., Databases]
) -> None:
    async with opened(run_of()) as one, opened(run_of(MORE)) as other:
        older = await one.template()
        newer = await other.template()
        assert not await is_there(server, older), "one template a project is kept"
        assert newer != older
        url = await one.migrated()
        assert await ask(url, "select to_regclass('more') is null")
        await one.drop(url)


async def test_two_runs_make_one_template(run_of: Callable[..., Databases]) -> None:
    async with opened(run_of()) as one, opened(run_of()) as other:
        assert await one.template() == await other.template()


async def test_a_run_whose_connection_was_cut_goes_on_and_is_seen_to_live(
    server: str, run_of: Callable[..., Databases]
) -> None:
    async with opened(run_of()) as cut:
        kept = await cut.empty()
        run = database_of(kept).split("_")[2]
        await tell(
            server,
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = $1",
            f"pillars test {run}",
        )
        further = await cut.empty()
        async with opened(run_of()):
            assert await is_there(server, kept), "the next run found it without a sign of life"
        for url in (kept, further):
            await cut.drop(url)
            assert not await is_there(server, url)


async def test_a_runs_connection_may_sit_idle_for_as_long_as_a_test_takes(
    server: str, run_of: Callable[..., Databases]
) -> None:
    url = f"{server}{'&' if '?' in server else '?'}idle_session_timeout=20"
    async with opened(Databases(url, [], project=Path("idle"))) as run:
        kept = await run.empty()
        await tell(server, "select pg_sleep(0.1)")
        async with opened(run_of()):
            assert await is_there(server, kept)
        await run.drop(kept)


@pytest.mark.parametrize(
    ("server_url", "other"),
    [
        ("postgresql://localhost:5432", "postgresql://localhost:5432/x"),
        (
            "postgresql://localhost:5432?sslmode=disable",
            "postgresql://localhost:5432/x?sslmode=disable",
        ),
        ("postgresql://a:b@localhost:5432/", "postgresql://a:b@localhost:5432/x"),
        ("postgresql://a:b@[::1]:5432/shop?a=/b/c", "postgresql://a:b@[::1]:5432/x?a=/b/c"),
        ("postgresql:///shop?host=/run/pg", "postgresql:///x?host=/run/pg"),
        ("postgres://?host=/run/pg", "postgres:///x?host=/run/pg"),
    ],
)
def test_another_database_is_on_the_same_server(server_url: str, other: str) -> None:
    assert with_database(server_url, "x") == other
    assert database_of(other) == "x"
