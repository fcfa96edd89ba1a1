"""docs/reference/sql.md and the migrated database say the same; its examples are run."""

import json
import re

import asyncpg
import psycopg
import pytest

from docs_pages import REFERENCE, blocks, code, section, table
from pillars.store.database import Database
from pillars.store.states import STATES
from stepping import define
from support import ask, asking

PAGE = (REFERENCE / "sql.md").read_text("utf-8")
SHOWN = blocks(PAGE, "sql")
VIEWS = (
    "pillars.all_jobs",
    "pillars.queue_stats",
    "pillars.redacted_jobs",
    "pillars.redacted_attempts",
    "pillars.redacted_schedules",
)
FUNCTIONS = (
    "pillars.enqueue", "pillars.cancel", "pillars.pause", "pillars.resume", "pillars.send", "pillars.pause_name", "pillars.resume_name",
)  # fmt: skip


async def rows(db: str, sql: str, *args: object) -> list[list[str]]:
    async with asking(db) as connection:
        return [list(map(str, found)) for found in await connection.fetch(sql, *args)]


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_functions_parameters_are_those_of_the_catalog(db: str, name: str) -> None:
    found = await rows(
        db,
        "select name, replace(format_type(type, null), 'timestamp with time zone', 'timestamptz'), coalesce(pg_get_function_arg_default(oid, place::int), '')"
        " from pg_proc, unnest(proargnames, proargtypes::oid[]) with ordinality given (name, type, place)"
        " where oid = $1::regproc order by place",
        name,
    )
    meant = [[one, kind, re.sub("::.*", "", default).lower()] for one, kind, default in found]
    told = [
        ["".join(code(cell)) for cell in cells[:3]]
        for cells in table(section(PAGE, name), "parameter")
    ]
    assert told == meant


@pytest.mark.parametrize("name", VIEWS)
async def test_a_views_columns_are_those_of_the_catalog(db: str, name: str) -> None:
    found = await rows(
        db,
        "select attname, replace(format_type(atttypid, null), 'timestamp with time zone', 'timestamptz') from pg_attribute"
        " where attrelid = $1::text::regclass and attnum > 0 order by attnum",
        name,
    )
    told = [code(cells[0]) + code(cells[1]) for cells in table(section(PAGE, name), "column")]
    assert told == found


async def test_every_function_and_view_that_is_told_of_is_there_and_no_other_view_is(
    db: str,
) -> None:
    found = await rows(
        db,
        "select 'pillars.' || relname from pg_class where relkind = 'v' and relnamespace = 'pillars'::regnamespace",
    )
    assert sorted(name for [name] in found) == sorted(VIEWS)
    headings = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    assert headings == [*FUNCTIONS, *VIEWS]


async def test_every_table_is_either_told_of_or_ours_alone(db: str) -> None:
    found = await rows(
        db,
        "select 'pillars.' || relname from pg_class where relkind in ('r', 'p') and not relispartition"
        " and relnamespace = 'pillars'::regnamespace",
    )
    told = [code(cells[0])[0] for cells in table(PAGE, "table")]
    [alone] = re.findall(r"^Ours alone.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert sorted([*told, *code(alone)]) == sorted(name for [name] in found)


async def test_the_columns_and_outcomes_that_are_told_of_are_there(db: str) -> None:
    for name, _, told in table(PAGE, "table"):
        has = await rows(
            db,
            "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0",
            *code(name),
        )
        for column, values in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", told):
            if [column] in has and values:
                check = await ask(
                    db,
                    "select pg_get_constraintdef(oid) from pg_constraint"
                    " where conrelid = $1::text::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%outcome%'",
                    *code(name),
                )
                assert code(values) == re.findall(r"'(\w+)'", check)
        outside = re.sub(r"\([^)]*\)", "", told)
        assert [[one] for one in code(outside) if [one] not in has] == []


def test_the_states_of_a_job_are_those_that_the_page_lists() -> None:
    said, *_ = [cells[2] for cells in table(PAGE, "column") if code(cells[0]) == ["state"]]
    assert sorted(code(said)) == sorted(STATES)


async def test_every_example_does_what_it_shows(db: str, database: Database) -> None:
    del database
    await define(db, "jobs.mail.send_receipt", queue="mail")
    async with asking(db) as connection:
        for example in SHOWN:
            await connection.execute(example)
        found = await connection.fetch(
            "select state, payload, queue, priority, context from pillars.all_jobs order by job_id"
        )
    assert [one["state"] for one in found] == ["ready", "cancelled", "ready"]
    assert {one["queue"] for one in found} == {"mail"}
    assert [json.loads(one["payload"])["order_id"] for one in found] == [42, 42, 1]
    assert (found[1]["priority"], found[1]["context"]) == (10, "asked for on the phone")


@pytest.mark.parametrize("language", ["js", "go"])
async def test_what_another_language_sends_enqueues(db: str, language: str) -> None:
    [example] = blocks(PAGE, language)
    [statement] = re.findall(r'"(select [^"]*)"', example)
    given = ["jobs.mail.send_receipt", '{"order_id": 42, "to": "a@example.com"}']
    async with await psycopg.AsyncConnection.connect(db) as connection:
        # As such drivers do, with the text of each value and no type.
        cursor = psycopg.AsyncRawCursor(connection)
        await cursor.execute(statement, given)
    assert (
        await ask(db, "select payload from pillars.jobs")
        == '{"to": "a@example.com", "order_id": 42}'
    )


@pytest.mark.parametrize(
    "difference",
    ["'jobs.nobody', '{}'", "'work', '{\"no\": \"such parameter\"}'"],
)
async def test_sql_takes_what_code_would_refuse(db: str, difference: str) -> None:
    await define(db, "work")
    assert await ask(db, f"select pillars.enqueue({difference})")


async def test_a_bad_argument_is_told_with_the_code_of_the_page(db: str) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await ask(db, "select pillars.enqueue('a b')")
    assert f"({refused.value.sqlstate})" in PAGE
