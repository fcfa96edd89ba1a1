"""Each role may do what it is for, and nothing else: every cell of role and statement is tried by a role that has logged in."""

import re

import pytest
from roles.standing import Standing, login, missing, refusal, settle

from pillars.store import migrate, statements
from pillars.store.pool import Address
from support import ask, asking, tell

DENIED = "42501"
JOB = "00000000-0000-7000-8000-000000000000"
ROLES = ("owner", "worker", "enqueue", "viewer", "stranger")
OWNER, WORKER, ENQUEUE, VIEWER = ({role} for role in ROLES[:4])
MAY = {
    "select pillars.enqueue('work')": OWNER | WORKER | ENQUEUE,
    "select pillars.enqueue('work', unique_key => 'k'), pillars.enqueue('work', unique_key => 'k')": OWNER | WORKER | ENQUEUE,
    f"select pillars.cancel('{JOB}')": OWNER | WORKER,
    f"select pillars.pause('{JOB}')": OWNER | WORKER,
    f"select pillars.resume('{JOB}')": OWNER | WORKER,
    f"select pillars.send('{JOB}', '1')": OWNER | WORKER,
    f"select pillars.complete('{JOB}', 1, '{JOB}', 'full', null)": OWNER | WORKER,
    "select pillars.insert_jobs('[]')": OWNER | WORKER,
    "select pillars.sweep()": OWNER | WORKER,
    "select pillars.make_days()": OWNER | WORKER,
    "select pillars.remove_day('attempts_20200101')": OWNER | WORKER,
    "select pillars.count_large()": OWNER | WORKER,
    "select * from pillars.unfinished()": OWNER | WORKER,
    "select pillars.shown('x')": OWNER,
    f"insert into pillars.jobs (job_id, queue, name) values ('{JOB}', 'default', 'work')": OWNER | WORKER,
    "select payload from pillars.jobs": OWNER | WORKER,
    "select unique_key from pillars.jobs": OWNER | WORKER,
    "update pillars.jobs set priority = 1": OWNER | WORKER,
    "delete from pillars.jobs": OWNER | WORKER,
    "truncate pillars.jobs": OWNER,
    "select password_hash from pillars.accounts": OWNER | WORKER,
    "insert into pillars.accounts (name, scope, password_hash) values ('me', 'operate', 'mine')": OWNER,
    "update pillars.accounts set scope = 'operate'": OWNER,
    "delete from pillars.sessions": OWNER | WORKER,
    "insert into pillars.audit (actor, action) values ('me', 'job.cancel')": OWNER | WORKER,
    "select actor from pillars.audit": OWNER | WORKER,
    "update pillars.audit set actor = 'nobody'": OWNER,
    "delete from pillars.audit": OWNER,
    "select pillars.prune_people('400 days')": OWNER | WORKER,
    "select result from pillars.finished_jobs": OWNER | WORKER,
    "select result from pillars.finished_completed": OWNER,
    "select error from pillars.attempts": OWNER | WORKER,
    "delete from pillars.attempts": OWNER,
    "select body from pillars.job_events": OWNER | WORKER,
    "update pillars.job_events set body = 'null'": OWNER,
    "delete from pillars.job_messages": OWNER | WORKER,
    "select context from pillars.all_jobs": OWNER | WORKER,
    "select * from pillars.redacted_jobs": OWNER | VIEWER,
    "select * from pillars.redacted_attempts": OWNER | VIEWER,
    "select * from pillars.redacted_schedules": OWNER | VIEWER,
    "select * from pillars.queue_stats": OWNER | WORKER | VIEWER,
    "select * from pillars.workers": OWNER | WORKER | VIEWER,
    "select * from pillars.ticks": OWNER | WORKER | VIEWER,
    "select * from pillars.definitions": OWNER | WORKER | VIEWER,
    "update pillars.definitions set queue = 'mine'": OWNER | WORKER,
    "delete from pillars.definitions": OWNER,
    "select payload from pillars.schedules": OWNER | WORKER,
    "insert into pillars.queues values ('default', now())": OWNER | WORKER,
    "delete from pillars.locks": OWNER | WORKER,
    "select nextval('pillars.locks_lock_token_seq')": OWNER | WORKER,
    "select setval('pillars.locks_lock_token_seq', 1)": OWNER,
    "select * from pillars.migrations": OWNER | WORKER,
    "insert into pillars.migrations values ('app', 9, 'x', 'x')": OWNER,
    "create table pillars.mine (payload jsonb)": OWNER,
    "create function pillars.mine() returns void language sql return null": OWNER,
    "alter table pillars.jobs add column mine text": OWNER,
    "drop table pillars.ticks": OWNER,
    "drop schema pillars cascade": OWNER,
    "create trigger mine before insert on pillars.jobs for each row execute function suppress_redundant_updates_trigger()": OWNER,
    "set role pillars_owner": OWNER,
    "set role pillars_worker": WORKER,
}  # fmt: skip


@pytest.mark.parametrize("statement", MAY)
async def test_a_statement_is_for_the_roles_that_need_it_and_denied_to_all_others(
    standing_for_all: Standing, statement: str
) -> None:
    told = {role: await refusal(standing_for_all.as_(f"app_{role}"), statement) for role in ROLES}
    assert {role for role, sqlstate in told.items() if sqlstate != DENIED} == MAY[statement]


async def test_what_a_viewer_sees_bears_nothing_that_people_or_code_have_put_in(
    standing: Standing,
) -> None:
    canary = "canary"
    await tell(
        standing.admin,
        "select pillars.cancel(pillars.enqueue('work', '{\"x\": \"canary\"}', context => 'canary')),"
        " pillars.enqueue('work', '{\"x\": \"canary\"}', unique_key => 'canary', context => 'canary')",
    )
    await tell(standing.admin, "update pillars.jobs set last_error = 'canary'")
    await tell(
        standing.admin,
        "insert into pillars.finished_jobs (job_id, name, queue, priority, state, result, last_error, attempt, crashes, created_at)"
        " values (gen_random_uuid(), 'work', 'default', 0, 'completed', '\"canary\"', 'canary', 1, 0, now());"
        "insert into pillars.attempts (job_id, attempt, outcome, error, traceback)"
        " values (gen_random_uuid(), 1, 'failed', 'canary', 'canary');"
        "insert into pillars.schedules (name, job, payload, queue, max_attempts, every, context, unique_key, last_error, deployment)"
        " values ('s', 'work', '{\"x\": \"canary\"}', 'default', 1, '1 hour', 'canary', 'canary', 'canary', 'test')",
    )
    async with asking(standing.as_("app_viewer")) as viewer:
        readable = await viewer.fetch(
            "select oid::regclass::text as name from pg_class where relnamespace = 'pillars'::regnamespace"
            " and relkind in ('r', 'p', 'v') and has_table_privilege(oid, 'select')"
        )
        seen = {
            one["name"]: [tuple(row) for row in await viewer.fetch(f"select * from {one['name']}")]
            for one in readable
        }
    assert len(seen["pillars.redacted_jobs"]) == 3
    assert len(seen["pillars.redacted_attempts"]) == len(seen["pillars.redacted_schedules"]) == 1
    assert canary not in str(seen)


async def test_every_object_of_the_schema_has_its_rights_decided(standing: Standing) -> None:
    decided = re.findall(r"^    \('(\w+)', '", statements.text("roles/steps"), re.MULTILINE)
    assert len(decided) == len(set(decided))
    found = await ask(
        standing.admin,
        "select array(select proname::text from pg_proc where pronamespace = 'pillars'::regnamespace"
        " union select relname::text from pg_class where relnamespace = 'pillars'::regnamespace"
        " and relkind in ('r', 'p', 'v', 'S') and not relispartition"
        " union select relname::text from pg_class where relnamespace = 'pillars'::regnamespace and relkind = 'p')",
    )
    assert sorted(found) == sorted(decided), "decide in sql/pillars/roles/steps.sql who may do what"


async def test_rights_that_were_taken_or_given_by_hand_are_found_and_mended(
    standing: Standing,
) -> None:
    assert await missing(standing.admin) == []
    slips = {
        "revoke insert on pillars.jobs from pillars_worker": "grant insert on table pillars.jobs to pillars_worker",
        "grant select on pillars.jobs to pillars_enqueue": "revoke select on table pillars.jobs from pillars_enqueue",
        "grant select (payload) on pillars.jobs to pillars_viewer": "revoke all on table pillars.jobs from pillars_viewer",
        "grant execute on function pillars.enqueue to public": "revoke execute on routine pillars.enqueue(",
        "grant all on schema pillars to public": "revoke create, usage on schema pillars from public",
        "alter table pillars.ticks owner to app_stranger": "alter table pillars.ticks owner to pillars_owner",
        "create function pillars.added() returns void language sql return null": "alter routine pillars.added() owner to pillars_owner",
    }
    for slip, mended in slips.items():
        await tell(standing.admin, slip)
        steps = await missing(standing.admin)
        assert any(step.startswith(mended) for step in steps), (slip, steps)
        assert await settle(standing.admin)
        assert await missing(standing.admin) == []
    assert not await ask(
        standing.admin,
        "select has_function_privilege('app_stranger', 'pillars.added()', 'execute')",
    )


async def test_a_days_table_is_the_owners_whoever_made_it(standing: Standing) -> None:
    worker = standing.as_("app_worker")
    await tell(standing.admin, "update pillars_test.clock set shift = '10 days'")
    assert await ask(worker, "select pillars.make_days()") == 4 * 5
    assert await ask(
        standing.admin,
        "select array_agg(distinct relowner::regrole::text) from pg_class"
        " where relnamespace = 'pillars'::regnamespace and relkind in ('r', 'p', 'v', 'S')",
    ) == ["pillars_owner"]
    assert await missing(standing.admin) == []


async def test_one_that_may_enqueue_learns_of_no_other_job_and_breaks_no_rule(
    standing: Standing,
) -> None:
    enqueuer = standing.as_("app_enqueue")
    job_id = await ask(
        enqueuer, "select pillars.enqueue('work', '{\"a\": 1}', queue => 'mail', unique_key => 'k')"
    )
    assert await ask(enqueuer, "select pillars.enqueue('other', unique_key => 'k')") == job_id
    for refused in ("'a b'", "'work', '[]'", "'work', queue => 'a b'", "'work', max_attempts => 0"):
        assert await refusal(enqueuer, f"select pillars.enqueue({refused})") == "22023"
    assert await ask(standing.admin, "select count(*) from pillars.jobs") == 1


async def test_an_enqueue_by_a_trigger_needs_no_right_on_our_tables(standing: Standing) -> None:
    await tell(
        standing.admin,
        "create table orders (id integer);"
        "grant insert on orders to app_enqueue; grant usage on schema public to app_enqueue;"
        "create function receipt() returns trigger language plpgsql as"
        " $$ begin perform pillars.enqueue('receipt', jsonb_build_object('id', new.id)); return null; end $$;"
        "create trigger receipt after insert on orders for each row execute function receipt()",
    )
    await tell(standing.as_("app_enqueue"), "insert into orders values (7)")
    assert await ask(standing.admin, "select payload->>'id' from pillars.jobs") == "7"


async def test_the_one_role_of_an_existing_installation_needs_nothing_new(
    empty: Standing,
) -> None:
    await login(empty.admin, "app_all", empty.password)
    await tell(empty.admin, f"grant create on database {empty.name} to app_all")
    url = empty.as_("app_all")
    await migrate.migrate(Address(url), migrate.of_runtime())
    for statement in MAY:
        if "set role" not in statement:
            assert await refusal(url, statement) != DENIED, statement
