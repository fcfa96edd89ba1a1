"""`pillars.enqueue`: jobs from SQL, in the caller's transaction."""

from uuid import UUID

import asyncpg
import pytest

from pillars import job
from pillars.store.database import Database
from stepping import define, final, row
from support import ask, asking


@job(name="work", unique_key="k" * 300)
async def keyed() -> None:
    pass


async def count(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


async def enqueue(db: str, arguments: str) -> UUID:
    return UUID(str(await ask(db, f"select pillars.enqueue({arguments})")))


async def test_a_defined_name_takes_its_definitions_options(db: str) -> None:
    await define(db, "mail", queue="post", priority=7, max_attempts=2, tags=("x",))
    stored = await row(db, await enqueue(db, "'mail', '{\"n\": 1}'"))
    assert (stored["queue"], stored["priority"], stored["max_attempts"]) == ("post", 7, 2)
    assert (stored["tags"], stored["payload"]) == (["x"], '{"n": 1}')


async def test_an_unknown_name_waits_in_the_default_queue_undecided(db: str) -> None:
    stored = await row(db, await enqueue(db, "'nobody.knows'"))
    assert (stored["queue"], stored["priority"], stored["max_attempts"]) == ("default", 0, None)


async def test_what_is_said_wins_over_the_definition(db: str) -> None:
    await define(db, "mail", queue="post", priority=7, max_attempts=2)
    said = "'mail', queue => 'other', priority => 1, max_attempts => 9, context => 'why'"
    stored = await row(db, await enqueue(db, said))
    assert (stored["queue"], stored["priority"], stored["max_attempts"]) == ("other", 1, 9)
    assert stored["context"] == "why"


async def test_its_unique_key_is_the_same_key_space(db: str, database: Database) -> None:
    first = await keyed.enqueue()
    assert await enqueue(db, "'work', unique_key => repeat('k', 300)") == UUID(first.job_id)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("null", "job name: .* got null"),
        ("''", 'job name: .* got ""'),
        ("'a b'", 'job name: .* got "a b"'),
        (f"'{'x' * 101}'", "job name: expected 1 to 100"),
        ("e'ok\\nno'", "job name"),
        ("'ok', queue => 'a;drop'", "queue: expected"),
        ("'ok', queue => ''", "queue: expected"),
        ("'ok', '[1]'", "payload: expected a JSON object .* got array"),
        ("'ok', null", "payload: expected a JSON object .* got null"),
        ("'ok', 'null'", "payload: expected a JSON object .* got null"),
        ("'ok', jsonb_build_object('x', repeat('y', 5000001))", "payload: expected at most"),
        ("'ok', max_attempts => 0", "max_attempts: expected 1 to 1000, got 0"),
        ("'ok', run_at => '1999-01-01'", "run_at: expected a time from 2000 to 2200"),
        ("'ok', run_at => 'infinity'", "run_at: expected a time from 2000 to 2200"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_was_got(
    db: str, arguments: str, message: str
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match=message):
        await enqueue(db, arguments)
    assert await count(db) == 0


async def test_it_works_for_a_caller_with_any_search_path(db: str) -> None:
    async with asking(db) as caller:
        await caller.execute("set search_path = ''")
        job_id = await caller.fetchval("select pillars.enqueue('work', unique_key => 'k')")
        assert await caller.fetchval("select pillars.cancel($1)", job_id) == "cancelled"
    assert (await final(db, job_id))["state"] == "cancelled"


SHADOWS = """
    create schema evil;
    create function evil.same(text, text) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.same(uuid, uuid) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.more(integer, integer) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.length(text) returns integer language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.now() returns timestamptz language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.jsonb_typeof(jsonb) returns text language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.octet_length(text) returns integer language plpgsql as $$ begin raise exception 'called'; end $$;
    create function evil.pg_notify(text, text) returns void language plpgsql as $$ begin raise exception 'called'; end $$;
    create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
    create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.same);
    create operator evil.> (leftarg = integer, rightarg = integer, function = evil.more);
    create temporary table jobs (job_id uuid);
    create temporary table definitions (name text);
    create temporary table queues (name text);
    create temporary table finished_jobs (job_id uuid);
    set search_path = evil, pg_temp, pg_catalog, public
"""  # CVE-2018-1058, CVE-2007-2138


async def test_nothing_of_the_callers_takes_the_place_of_what_a_function_means(db: str) -> None:
    async with asking(db) as caller:
        await caller.execute(SHADOWS)
        with pytest.raises(asyncpg.RaiseError, match="called"):
            await caller.fetchval("select now()")
        call = "select pillars.enqueue('work', '{\"i\": 1}', queue => 'mail', unique_key => 'k', priority => 1)"
        job_id = await caller.fetchval(call)
        assert await caller.fetchval(call) == job_id
        assert await caller.fetchval("select pillars.cancel($1)", job_id) == "cancelled"
        assert await caller.fetchval("select count(*) from pg_temp.jobs") == 0
    assert (await final(db, job_id))["state"] == "cancelled"
