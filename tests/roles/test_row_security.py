"""`ctx.as_user` and `ctx.system`: a transaction sees what it says it is for, and nothing of that is left for the next."""

import asyncio
import re
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from roles.protecting import COUNT, JOB_ID, NOTHING, SAID, context, protect, working
from roles.standing import Standing

import pillars
from pillars.errors import DatabaseTrouble, LockLost, Trouble, UsageError
from pillars.store.row_security import reason_of, user_id_of
from support import ask, asking, tell

AUDIT = "select count(*) from pillars.audit where action = 'job.system'"
ROLES = "create role {0}; grant {0} to app_worker; grant usage on schema public to {0}; grant select on notes to {0}"


@pytest.fixture
async def notes(standing: Standing) -> Standing:
    return await protect(standing)


async def role_of(standing: Standing, name: str) -> str:
    """A role that the worker may take, named for the database, since roles are a server's."""
    name = f"{name}_{standing.name}"
    await tell(standing.admin, ROLES.format(f'"{name}"'))
    return name


async def test_a_user_sees_and_makes_rows_of_their_own_alone(notes: Standing) -> None:
    async with working(notes):
        async with context().as_user("ada") as connection:
            assert await connection.fetchval(COUNT) == 2
            await connection.execute("insert into notes (body) values ('four')")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with connection.transaction():
                    await connection.execute(
                        "insert into notes (body, user_id) values ('five', 'bob')"
                    )
            assert await connection.execute("delete from notes where user_id = 'bob'") == "DELETE 0"
        async with context().as_user("bob") as connection:
            assert await connection.fetchval(COUNT) == 1
        async with pillars.connection() as connection:
            assert await connection.fetchval(COUNT) == 0
    assert await ask(notes.admin, "select user_id from notes where body = 'four'") == "ada"


async def test_the_system_sees_all_and_leaves_a_row_that_says_why(notes: Standing) -> None:
    async with working(notes):
        for attempt in (1, 2):
            async with context(attempt=attempt).system("nightly 'export'") as connection:
                assert await connection.fetchval(COUNT) == 3
    async with asking(notes.admin) as connection:
        rows = await connection.fetch(
            "select actor, action, target, address, details::text from pillars.audit order by audit_id"
        )
    assert [tuple(row) for row in rows] == [
        (
            "job:export", "job.system", JOB_ID, None,
            f'{{"reason": "nightly \'export\'", "attempt": {attempt}}}',
        )
        for attempt in (1, 2)
    ]  # fmt: skip


async def test_a_user_leaves_no_row_of_the_audit_trail(notes: Standing) -> None:
    async with working(notes), context().as_user("ada") as connection:
        await connection.execute(COUNT)
    assert await ask(notes.admin, "select count(*) from pillars.audit") == 0


async def test_triggers_and_defaults_know_the_job(notes: Standing) -> None:
    async with working(notes):
        async with context().as_user(7) as connection:
            assert await connection.fetchval(SAID) == f"7,,{JOB_ID},export"
        async with context().system("why") as connection:
            assert await connection.fetchval(SAID) == f",why,{JOB_ID},export"


class Stopped(BaseException):
    """As a cancellation from within."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "error": lambda: ValueError("of the job's own"),
    "lost lock": LockLost,
    "stop": Stopped,
    "cancellation": asyncio.CancelledError,
}


@pytest.mark.parametrize("how", [*RAISED, "commit", "failed statement", "savepoint"])
@pytest.mark.parametrize("role", [False, True])
async def test_whatever_ends_the_block_nothing_is_left_on_the_connection(
    notes: Standing, how: str, *, role: bool
) -> None:
    taken = await role_of(notes, "taken") if role else None
    async with working(notes, user_role=taken, system_role=taken) as database:
        for block in (context().as_user("ada"), context().system("why")):
            pid = await ask_pool("select pg_backend_pid()")
            before = await ask(notes.admin, AUDIT)
            try:
                async with block as connection:
                    assert await connection.fetchval("select current_user") == (
                        taken or "app_worker"
                    )
                    raise_as(how)
                    if how == "failed statement":
                        await connection.execute("select 1 / 0")
                    if how == "savepoint":
                        async with connection.transaction():
                            await connection.execute(COUNT)
            except (Stopped, asyncio.CancelledError, Exception):  # noqa: BLE001
                assert how in {*RAISED, "failed statement"}
                assert await ask(notes.admin, AUDIT) == before, "nothing was done as the system"
            async with database.pool.session() as session:  # which nobody has reset since
                assert await session.connection.fetchval(SAID) in {NOTHING, ""}
                assert await session.connection.fetchval("select current_user") == "app_worker"
            assert await ask_pool("select pg_backend_pid()") == pid
            assert await ask_pool(COUNT) == 0


def raise_as(how: str) -> None:
    if how in RAISED:
        error = RAISED[how]()
        raise error


async def ask_pool(sql: str) -> Any:
    async with pillars.connection() as connection:
        return await connection.fetchval(sql)


async def test_a_commit_alone_takes_it_away_where_nobody_resets_the_session(
    notes: Standing,
) -> None:
    async with asking(notes.as_("app_worker")) as connection, working(notes):
        for block in (context().as_user, context().system):
            await connection.execute("begin")
            async with block("ada", connection=connection):
                assert await connection.fetchval(COUNT) > 0
                await connection.execute("commit; begin")
                assert await connection.fetchval(SAID) in {NOTHING, ""}
                assert await connection.fetchval(COUNT) == 0
            await connection.execute("rollback")


async def test_a_job_that_is_cancelled_in_a_query_leaves_nothing(notes: Standing) -> None:
    async with working(notes):
        reached = asyncio.Event()

        async def wait() -> None:
            async with context().system("why") as connection:
                reached.set()
                await connection.execute("select pg_sleep(60)")

        task = asyncio.create_task(wait())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ask_pool(SAID) in {NOTHING, ""}
        assert await ask_pool(COUNT) == 0
    assert await ask(notes.admin, AUDIT) == 0


async def test_jobs_that_share_one_connection_never_see_each_others_rows(notes: Standing) -> None:
    async with working(notes, size=1):

        async def count(user: str, own: int) -> None:
            for _ in range(20):
                async with context().as_user(user) as connection:
                    assert await connection.fetchval(COUNT) == own
                    assert await connection.fetchval("select min(user_id) from notes") in {
                        user,
                        None,
                    }
                async with context().connection() as connection:
                    assert await connection.fetchval(COUNT) == 0

        await asyncio.gather(count("ada", 2), count("bob", 1), count("eve", 0))


async def test_another_block_within_is_another_transaction(notes: Standing) -> None:
    async with (
        working(notes, size=2),
        context().as_user("ada") as outer,
        context().system("look beyond") as inner,
    ):
        assert await inner.fetchval(COUNT) == 3
        assert await outer.fetchval(COUNT) == 2


async def test_the_apps_own_setting_is_set_in_place_of_ours(notes: Standing) -> None:
    name = "request.jwt.claim.sub"
    async with working(notes, user_setting=name), context().as_user("ada") as connection:
        assert await connection.fetchval("select current_setting($1)", name) == "ada"
        assert not await connection.fetchval("select current_setting('pillars.user_id', true)")


async def test_a_role_is_taken_after_the_audit_trail_has_its_row(notes: Standing) -> None:
    taken = await role_of(notes, "weak'role")
    async with working(notes, system_role=taken):
        async with context().system("why") as connection:
            assert await connection.fetchval("select current_user") == taken
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(AUDIT)
        async with context().as_user("ada") as connection:
            assert await connection.fetchval("select current_user") == "app_worker"
    assert await ask(notes.admin, AUDIT) == 1


async def test_a_role_that_the_worker_may_not_take_is_told_with_the_statement_to_run(
    notes: Standing,
) -> None:
    name = f'strange "{notes.name}"'
    said = re.escape(f'''run: grant "strange ""{notes.name}""" to app_worker''')
    async with working(notes, system_role=name, user_role=name):
        for there in ("there is no such role", "may not take it"):
            for block, setting in (
                (context().system("why"), "PILLARS_RLS_SYSTEM_ROLE"),
                (context().as_user(1), "PILLARS_RLS_USER_ROLE"),
            ):
                with pytest.raises(DatabaseTrouble, match=f"{setting}.*{there}.*{said}") as denied:
                    async with block:
                        pytest.fail("not as this role")
                assert denied.value.kind is Trouble.DENIED
            if there.startswith("there"):
                await tell(notes.admin, 'create role "{}"'.format(name.replace('"', '""')))
        await tell(notes.admin, 'grant "{}" to app_worker'.format(name.replace('"', '""')))
        async with context().as_user(1) as connection:
            assert await connection.fetchval("select current_user") == name
    assert await ask(notes.admin, AUDIT) == 0


async def test_code_chooses_its_isolation_and_then_acts(
    notes: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.store.row_security.ASKED_EVERY", 0.0)
    async with working(notes), context().connection() as connection:
        await connection.execute("set transaction isolation level serializable")
        async with context().as_user("ada", connection=connection):
            assert await connection.fetchval(COUNT) == 2
        assert await connection.fetchval(COUNT) == 0


# Ids and reasons.


class Colour(str, Enum):  # noqa: UP042 - which says "Colour.RED" of itself
    RED = "red"


class Shade(StrEnum):
    DARK = "dark"


HOSTILE = [
    "'; drop table notes; --", 'x" or true', "$1", "a\nb\r\n\tc", "\\'", "%s :name ?", "ada' or '1'='1", "ü" * 100, " ", "NULL",
]  # fmt: skip


@pytest.mark.parametrize("user_id", HOSTILE)
async def test_a_hostile_id_is_a_text_like_any_other(notes: Standing, user_id: str) -> None:
    async with working(notes):
        for reason in (user_id, "why"):
            async with context().as_user(user_id) as connection:
                assert (
                    await connection.fetchval("select current_setting('pillars.user_id')")
                    == user_id
                )
                assert await connection.fetchval(COUNT) == 0
            if reason.strip():
                async with context().system(reason) as connection:
                    assert (
                        await connection.fetchval("select current_setting('pillars.system')")
                        == reason
                    )
    assert await ask(notes.admin, COUNT) == 3


@pytest.mark.parametrize(
    ("user_id", "text"),
    [
        (7, "7"), (-1, "-1"), (UUID(int=7), "00000000-0000-0000-0000-000000000007"), (Colour.RED, "red"), (Shade.DARK, "dark"),
        (asyncpg.pgproto.pgproto.UUID("0" * 31 + "7"), "00000000-0000-0000-0000-000000000007"), ("x" * 200, "x" * 200),
    ],
)  # fmt: skip
def test_an_id_is_its_text(user_id: Any, text: str) -> None:
    assert user_id_of(user_id) == text


@pytest.mark.parametrize(
    "user_id",
    ["", "a\0b", "x" * 201, "ü" * 101, "x" * 10_000, "\ud800", None, True, 1.5, b"7", ["7"], 10**5000, object()],
    ids=lambda value: str(type(value).__name__),
)  # fmt: skip
def test_what_is_no_id_is_refused_before_anything_is_sent(user_id: Any) -> None:
    with pytest.raises(UsageError, match="user_id: expected"):
        context().as_user(user_id)
    with pytest.raises(UsageError, match="user_id: expected"):
        context().as_user_now(user_id, connection=None)


@pytest.mark.parametrize("reason", ["", " \n", "a\0b", "x" * 1001, "\ud800", None, 7])
def test_a_reason_is_words(reason: Any) -> None:
    with pytest.raises(UsageError, match="reason: expected"):
        context().system(reason)
    assert reason_of("why") == "why"
