"""What a stranger puts on a search_path is never run by us: every runtime path is walked with traps before Postgres's own names."""

import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from roles.standing import Standing, ready, refusal, settle
from roles.test_pillars_as_worker import DAYS, LOCAL, TOKEN, ended, pass_days

import pillars
from pillars.jobs.connected import using
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import migrate, statements
from pillars.store.database import Database
from pillars.store.pool import Address
from process.pillar import app, ready_app, told
from process.work import quick
from support import ask, asking, settings_for, tell, until

TRAPS = (Path(__file__).parent / "traps.sql").read_text("utf-8")
PATH = "traps, pg_catalog, public"
WITH_OWNERS_RIGHTS = [
    "analyze_grown", "count_large", "enqueue", "make_days", "prune_people", "remove_day",
]  # fmt: skip


def words() -> str:
    """Every word of our statements, among them the functions that they call."""
    texts = [path.read_text() for path in statements.folder().rglob("*.sql")]
    return " ".join(sorted(set(re.findall(r"\b[a-z_0-9]+\b", " ".join(texts)))))


async def set_traps(standing: Standing, *logins: str) -> None:
    """For whoever of `logins` connects from now on."""
    async with asking(standing.admin) as connection:
        await connection.execute("select set_config('traps.words', $1, false)", words())
        await connection.execute(TRAPS)
        for login in logins:
            await connection.execute(
                f"alter role {login} in database {standing.name} set search_path = {PATH}"
            )


async def caught(standing: Standing) -> bool:
    """Whether a trap was sprung, also in a transaction that was undone since."""
    return bool(await ask(standing.admin, "select is_called from traps.caught"))


async def test_the_traps_are_sprung_by_whoever_goes_by_that_path(standing: Standing) -> None:
    await set_traps(standing, "app_worker")
    for statement in (
        "select 1 + 1",
        "select count('a'::pg_catalog.text)",
        "select * from unnest(array[1::bigint])",
        "select 'a'::text",
        "select relname from pg_class",
        "select 1 where pg_catalog.now() < pg_catalog.now()",
        "select pg_notify('a', 'b')",
    ):
        with pytest.raises(asyncpg.PostgresError, match="a trap was sprung"):
            await ask(standing.as_("app_worker"), statement)
    assert await caught(standing)


async def test_no_statement_of_the_pillars_springs_one(standing: Standing, tmp_path: Path) -> None:
    worker = standing.as_("app_worker")
    environ: dict[str, Any] = {"PILLARS_SQL": str(tmp_path / "no-sql"), **LOCAL}
    for day in await ask(standing.admin, DAYS):
        await tell(standing.admin, f"drop table pillars.{day}")
    await set_traps(standing, "app_worker", "app_owner")
    async with (
        ready_app(tmp_path, worker, "web", **environ) as web,
        ready_app(tmp_path, worker, "worker", **environ) as runner,
        ready_app(tmp_path, worker, "cron", **environ) as cron,
        httpx2.AsyncClient(base_url=str(told(web, "web.ready")[0]["url"]), headers=TOKEN) as client,
    ):
        for body in (
            {"name": "quick", "payload": {"number": 7}},
            {"name": "at_once"},
            {"name": "at_once", "max_attempts": 1},
            {"name": "quick", "payload": {"number": 7}, "unique_key": "k"},
        ):
            assert (await client.post("/api/jobs", json=body)).status_code in {200, 201}
        await until(lambda: ended(standing, "at_once", "completed"))
        await until(lambda: ended(standing, "at_once", "failed"))
        await until(lambda: ended(standing, "ping", "completed"))
        async with using(Database(worker)):
            await pillars.enqueue_many(quick.call(number) for number in range(1000))
            assert await (await quick.enqueue(9)).result(timeout="30s") == 9
            handle = await quick.configure(run_in="1h", unique_key="later").enqueue(1)
            assert await handle.cancel()
        assert (await client.post(f"/api/jobs/{handle.job_id}/retry")).status_code == 200
        for path in ("queues/default/pause", "queues/default/resume", "schedules/beat/run"):
            assert (await client.post(f"/api/{path}")).is_success
        for path in ("api/jobs?state=completed", "api/jobs?tag=a", "api/jobs/stats", "api/queues", "api/workers", "api/schedules", "api/health",
                     "metrics", "dashboard", "dashboard/jobs", "dashboard/queues", "dashboard/schedules", "dashboard/workers"):  # fmt: skip
            assert (await client.get(f"/{path}", follow_redirects=True)).is_success
        with app(tmp_path, worker, "doctor", "--canary", **environ) as doctor:
            await doctor.ended()
        for process in (web, runner, cron, doctor):
            assert "a trap was sprung" not in process.output
    assert not await caught(standing)


async def test_neither_does_the_pruning_of_old_days(standing: Standing) -> None:
    await pass_days(standing, 40)
    await set_traps(standing, "app_worker", "app_owner")
    for login in ("app_worker", "app_owner"):
        url = standing.as_(login)
        async with using(Database(url)) as database:
            pruned = await Pruner(Process("worker", settings_for(url), database)).prune_once()
            assert (pruned > 0) is (login == "app_worker")
        await pass_days(standing, 0)
    assert not await caught(standing)


async def test_neither_does_a_migration_nor_what_gives_the_roles_their_rights(
    empty: Standing,
) -> None:
    await ready(empty)
    await tell(empty.admin, "drop schema pillars cascade; drop schema pillars_test cascade")
    await set_traps(empty, "app_owner")
    await tell(empty.admin, f"grant create on database {empty.name} to app_owner")
    assert await settle(empty.as_("app_owner"))
    assert not await caught(empty)
    assert await refusal(empty.as_("app_worker"), "select pillars.sweep()") is None


async def test_an_apps_own_migration_goes_by_the_roles_path(empty: Standing) -> None:
    await ready(empty)
    await tell(
        empty.admin,
        "create schema shop; grant create, usage on schema shop to app_owner;"
        f"alter role app_owner in database {empty.name} set search_path = shop",
    )
    mine = migrate.Migration("app", 1, "0001_orders", "create table orders (id integer)")
    await migrate.migrate(Address(empty.as_("app_owner")), [*migrate.of_runtime(), mine])
    assert await ask(empty.admin, "select to_regclass('shop.orders') is not null")


async def test_statements_on_a_callers_connection_name_the_schema_of_everything(
    standing: Standing,
) -> None:
    await set_traps(standing, "app_worker")
    async with asking(standing.as_("app_worker")) as connection, connection.transaction():
        handle = await quick.configure(connection=connection, unique_key="k").enqueue(1)
        assert (
            await quick.configure(connection=connection, unique_key="k").enqueue(2)
        ).job_id == handle.job_id
    for name in ("jobs/insert_jobs", "jobs/complete"):
        for text in (statements.text(name), statements.text(f"{name}_named")):
            code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
            assert not re.search(r"(::| as )(?!pg_catalog\.|bigint|job_id|answer)", code), name
    assert not await caught(standing)


async def test_one_that_may_enqueue_has_nothing_of_its_own_run_with_the_owners_rights(
    standing: Standing,
) -> None:
    await set_traps(standing)
    async with asking(standing.as_("app_enqueue")) as attacker:
        await attacker.execute(
            "create temp table jobs (job_id uuid); create temp table definitions (name text);"
            "create function pg_temp.uuid7() returns uuid language plpgsql as $$ begin perform traps.spring('temp'); end $$;"
            "create function pg_temp.shown(text) returns text language plpgsql as $$ begin perform traps.spring('temp'); end $$;"
            f"set search_path = pg_temp, {PATH}"
        )
        assert await attacker.fetchval(
            "select pillars.enqueue('work', unique_key => 'k', context => 'c')"
        )
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await attacker.fetchval("select pillars.enqueue('a b')")
    assert await ask(standing.admin, "select count(*) from pillars.jobs") == 1
    assert not await caught(standing)


async def test_every_function_knows_its_names_and_few_run_with_the_owners_rights(
    db: str,
) -> None:
    async with asking(db) as connection:
        loose = await connection.fetch(
            "select proname from pg_proc where pronamespace = 'pillars'::regnamespace and prosqlbody is null"
            " and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)"
        )
        definers = await connection.fetch(
            "select proname from pg_proc where pronamespace = 'pillars'::regnamespace and prosecdef order by 1"
        )
        to_everybody = await connection.fetch(
            "select proname from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) one"
            " where pronamespace = 'pillars'::regnamespace and one.grantee = 0"
        )
    assert loose == []
    assert [one["proname"] for one in definers] == WITH_OWNERS_RIGHTS
    assert to_everybody == []
