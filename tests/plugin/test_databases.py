"""Databases of tests: whose they are, and what becomes of those that nobody ended."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pillars.store import migrate
from pillars.store.migrate import Migration
from pillars.testing.databases import Databases, database_of
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
