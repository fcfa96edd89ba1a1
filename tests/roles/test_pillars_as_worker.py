"""Every pillar and command does its work as a role that owns nothing: what it lacked, it would be denied."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from roles.standing import Standing, fresh, login, refusal, settle

import pillars
from docs_pages import REFERENCE, blocks
from pillars.errors import DatabaseTrouble, Trouble
from pillars.jobs.connected import using
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store import history
from pillars.store.database import Database
from pillars.store.pool import Address
from process.pillar import app, ready_app, told
from process.work import quick
from support import ask, asking, settings_for, tell, until

DAYS = (
    "select array(select relname::text from pg_class where relnamespace = 'pillars'::regnamespace"
    " and relname ~ '_[0-9]{8}$' and relkind = 'r' order by 1)"
)
PAGE = (REFERENCE.parent / "howto" / "roles.md").read_text("utf-8")
LOCAL = {"HOST": "127.0.0.1", "PORT": "0", "PILLARS_WEB": "front:app", "PILLARS_TOKEN": "t" * 32}
DAY = timedelta(days=1)
TOKEN = {"Authorization": f"Bearer {'t' * 32}"}


async def pass_days(standing: Standing, days: int) -> None:
    """So many days go by, and a worker makes theirs."""
    await tell(
        standing.admin, "update pillars_test.clock set shift = shift + $1::interval", days * DAY
    )
    await tell(standing.as_("app_worker"), "select pillars.make_days()")


async def ended(standing: Standing, name: str, state: str) -> bool:
    return bool(
        await ask(
            standing.admin,
            "select count(*) > 0 from pillars.finished_jobs where name = $1 and state = $2",
            name,
            state,
        )
    )


async def test_web_worker_and_cron_do_all_their_work_as_a_role_that_owns_nothing(
    standing: Standing, tmp_path: Path
) -> None:
    worker = standing.as_("app_worker")
    # The app's own tables, which its own migrations make, are not ours to grant.
    environ: dict[str, Any] = {"PILLARS_SQL": str(tmp_path / "no-sql"), **LOCAL}
    days = await ask(standing.admin, DAYS)
    for day in days:
        await tell(standing.admin, f"drop table pillars.{day}")
    async with (
        ready_app(tmp_path, worker, "web", **environ) as web,
        ready_app(tmp_path, worker, "worker", **environ) as runner,
        ready_app(tmp_path, worker, "cron", **environ) as cron,
        httpx2.AsyncClient(base_url=str(told(web, "web.ready")[0]["url"]), headers=TOKEN) as client,
    ):
        assert await ask(standing.admin, DAYS) == days, "the worker makes what is missing"

        async def api(method: str, path: str, code: int, **body: object) -> dict[str, object]:
            answer = await client.request(method, f"/api{path}", json=body or None)
            assert answer.status_code == code, answer.text
            return dict(answer.json()) if answer.content else {}

        await api("POST", "/jobs", 201, name="quick", payload={"number": 7})
        await api("POST", "/jobs", 201, name="at_once")
        await api("POST", "/jobs", 201, name="at_once", max_attempts=1)
        await until(lambda: ended(standing, "quick", "completed"))
        await until(lambda: ended(standing, "at_once", "completed"))
        await until(lambda: ended(standing, "at_once", "failed"))
        await until(lambda: ended(standing, "ping", "completed"))
        assert await ask(standing.admin, "select count(*) > 0 from pillars.ticks")
        await api("POST", "/queues/default/pause", 200)
        waiting = await api(
            "POST", "/jobs", 201, name="quick", payload={"number": 8}, unique_key="k"
        )
        assert (
            await api("POST", "/jobs", 200, name="quick", payload={"number": 8}, unique_key="k")
        )["job_id"] == waiting["job_id"]
        await api("DELETE", f"/jobs/{waiting['job_id']}", 200)
        await api("POST", f"/jobs/{waiting['job_id']}/retry", 200)
        await api("POST", "/queues/default/resume", 200)
        await api("POST", "/schedules/beat/pause", 200)
        await api("POST", "/schedules/beat/run", 201)
        for path in (
            "/jobs",
            "/jobs/stats",
            "/queues",
            "/workers",
            "/schedules",
            f"/jobs/{waiting['job_id']}",
            "/health",
        ):
            await api("GET", path, 200)
        assert (await client.get("/metrics")).status_code == 200
        for page in ("", "/jobs", "/queues", "/schedules", "/workers"):
            assert (await client.get(f"/dashboard{page}", follow_redirects=True)).status_code == 200
        async with using(Database(worker)):
            assert await (await quick.enqueue(10)).result(timeout="30s") == 10
            handles = await pillars.enqueue_many(quick.call(number) for number in range(1000))
            assert len(handles) == 1000
        await until(lambda: _is_empty(standing))
        with app(tmp_path, worker, "doctor", "--canary", "--json", **environ) as doctor:
            await doctor.ended()
            found = _checks(doctor.output)
        # This server forgets all at a crash and vacuums nothing, which is for tests alone.
        assert {one for one, told in found.items() if told["status"] == "fail"} == {
            "database.durability",
            "schema.vacuum",
        }
        assert found["database.role"]["evidence"] == "role app_worker may work, and not migrate"
        assert found["jobs.canary"]["status"] == "ok"
        assert "may not look" not in doctor.output
        said = runner.output + web.output + cron.output
    assert not re.search(r"(?<!\d)42501(?!\d)", said), "or a part of a time"
    assert "permission denied" not in said


def _checks(output: str) -> dict[str, dict[str, str]]:
    return {one["id"]: one for one in json.loads(output[output.index("{") :])["checks"]}


async def _is_empty(standing: Standing) -> bool:
    return not await ask(standing.admin, "select count(*) from pillars.jobs")


async def test_old_days_go_though_the_role_owns_none(standing: Standing) -> None:
    worker = standing.as_("app_worker")
    before = await ask(standing.admin, DAYS)
    await pass_days(standing, 40)
    async with using(Database(worker)) as database:
        pruner = Pruner(Process("worker", settings_for(worker), database))
        assert await pruner.prune_once() == len(before)
        assert await pruner.prune_once() == 0
    assert not set(before) & set(await ask(standing.admin, DAYS))


async def test_a_detach_that_an_owner_left_half_done_is_gone_on_with(standing: Standing) -> None:
    worker = standing.as_("app_worker")
    [day, *_] = [one for one in await ask(standing.admin, DAYS) if one.startswith("finished_ended")]
    await pass_days(standing, 40)
    async with (
        asking(standing.admin) as owner,
        asking(standing.admin) as reader,
        reader.transaction(),
    ):
        await reader.execute("select count(*) from pillars.finished_jobs")
        await owner.execute("set lock_timeout = '300ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await owner.execute(
                f"alter table pillars.finished_ended detach partition pillars.{day} concurrently"
            )
    assert await ask(standing.admin, "select count(*) from pg_inherits where inhdetachpending") == 1
    async with using(Database(worker)) as database:
        assert await Pruner(Process("worker", settings_for(worker), database)).prune_once() > 0
    assert await ask(standing.admin, "select to_regclass('pillars.' || $1) is null", day)


async def test_whoever_reads_an_old_day_keeps_it_and_holds_up_the_others_for_a_moment_only(
    standing: Standing,
) -> None:
    worker = standing.as_("app_worker")
    await pass_days(standing, 40)
    session = await history.connect_to_prune(Address(worker))
    try:
        async with asking(standing.admin) as reader, reader.transaction():
            await reader.execute(
                "select count(*) from pillars.finished_jobs where state = 'completed'"
            )
            step = await history.next_prune(
                session,
                completed=7 * DAY,
                failed=30 * DAY,
                events=7 * DAY,
                left_out=["attempts", "finished_ended"],
            )
            assert step is not None
            assert not await history.take(session, step)
        assert await history.take(session, step)
        assert not await history.take(session, step), "another has taken it"
    finally:
        await session.close()


@pytest.mark.parametrize(
    "day",
    [
        "jobs",
        "workers",
        "attempts_2020010",
        "attempts_20200101; drop table pillars.jobs",
        "finished_jobs_20200101",
        "Attempts_20200101",
        "today",
        "yesterday",
        None,
    ],
)
async def test_no_table_but_an_old_day_can_be_removed(standing: Standing, day: str | None) -> None:
    words = {"today": "", "yesterday": " - interval '1 day'"}
    if day in words:
        day = await ask(
            standing.admin,
            f"select 'attempts_' || to_char(pillars.now() at time zone 'UTC'{words[day]}, 'YYYYMMDD')",
        )
    with pytest.raises(asyncpg.InvalidParameterValueError, match="expected a day of the history"):
        await ask(standing.as_("app_worker"), "select pillars.remove_day($1)", day)


async def test_code_that_is_lent_a_connection_finds_the_names_of_its_own_path(
    standing: Standing,
) -> None:
    await tell(
        standing.admin,
        "create schema shop; create table shop.orders (id integer); grant usage on schema shop to app_worker;"
        f"grant select on shop.orders to app_worker; alter role app_worker in database {standing.name} set search_path = shop",
    )
    async with using(Database(standing.as_("app_worker"), size=1)) as database:
        for _ in range(2):
            async with pillars.connection() as connection:
                assert await connection.fetchval("show search_path") == "shop"
                assert await connection.fetchval("select count(*) from orders") == 0
                await connection.execute("set search_path = public")
            async with database.pool.session() as session:
                assert (
                    await session.connection.fetchval("show search_path") == "pg_catalog, pg_temp"
                )


async def test_what_a_role_may_not_do_is_told_as_a_denial(standing: Standing) -> None:
    async with using(Database(standing.as_("app_enqueue"))):
        with pytest.raises(DatabaseTrouble) as refused:
            await quick.enqueue(1)
    assert refused.value.kind is Trouble.DENIED


async def test_a_later_migration_brings_its_own_rights_where_roles_are_in_use(
    standing: Standing, tmp_path: Path
) -> None:
    await tell(standing.admin, "revoke insert on pillars.jobs from pillars_worker")
    environ: dict[str, Any] = {"PILLARS_SQL": str(tmp_path / "no-sql")}
    with app(tmp_path, standing.as_("app_owner"), "migrate", "--check", **environ) as check:
        assert await check.ended() == 1
    assert "grant insert on table pillars.jobs to pillars_worker" in check.output
    with app(tmp_path, standing.as_("app_owner"), "migrate", **environ) as migrate:
        assert await migrate.ended() == 0, migrate.output
    assert await ask(
        standing.admin, "select has_table_privilege('pillars_worker', 'pillars.jobs', 'insert')"
    )
    assert await settle(standing.admin) == []


async def test_roles_are_planned_made_and_checked_from_the_command_line_without_a_superuser(
    untouched: Standing, tmp_path: Path
) -> None:
    await tell(
        untouched.admin, f"create role deployer login createrole password '{untouched.password}'"
    )
    empty = await fresh(untouched)
    await tell(empty.admin, f"alter database {empty.name} owner to deployer")
    environ: dict[str, Any] = {"PILLARS_SQL": str(tmp_path / "no-sql")}

    async def run(*words: str) -> tuple[int, str]:
        with app(tmp_path, empty.as_("deployer"), "migrate", *words, **environ) as process:
            return await process.ended(), process.output

    code, output = await run("--plan", "--roles")
    assert code == 0
    assert "create role pillars_owner nologin;" in output
    assert "and the rights of the roles" in output
    assert (await run())[0] == 0
    assert (await run("--check"))[0] == 0, "no roles are asked for"
    code, output = await run("--check", "--roles")
    assert (code, output.splitlines()[-1]) == (1, "run: app migrate --roles")
    assert "missing grant execute on routine pillars.enqueue(" in output
    code, output = await run("--roles")
    assert code == 0, output
    assert "the roles have their rights" in output
    assert await run("--check", "--roles") == (0, "the database is up to date\n")
    assert await run("--roles") == (0, "the database is up to date\n")
    recipe, _ = blocks(PAGE, "sql")
    await tell(empty.admin, recipe)
    for group, statement in {
        "owner": "drop table pillars.ticks; create table public.mine (id integer)",
        "worker": "select pillars.sweep()",
        "enqueue": "select pillars.enqueue('work')",
        "viewer": "select * from pillars.redacted_jobs",
    }.items():
        url = replace(empty, password=f"{group}-secret").as_(f"app_{group}")
        assert await refusal(url, statement) is None


async def test_who_may_not_make_roles_is_told_who_may(untouched: Standing, tmp_path: Path) -> None:
    await login(untouched.admin, "plain", untouched.password)
    empty = await fresh(untouched)
    await tell(empty.admin, f"alter database {empty.name} owner to plain")
    environ: dict[str, Any] = {"PILLARS_SQL": str(tmp_path / "no-sql")}
    with app(tmp_path, empty.as_("plain"), "migrate", "--roles", **environ) as process:
        assert await process.ended() == 1
    assert "create role pillars_enqueue nologin failed: permission denied" in process.output
    assert "may create roles" in process.output
