"""`app doctor`: each check meets the mistake it is for, and a system without it."""

import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from cli.said import Run
from pillars import every, job
from pillars.cli.checking import Problem, Report
from pillars.cli.doctor import server
from pillars.cli.doctor.catalogue import CANARY, CHECKS
from pillars.cli.doctor.examining import examine, look
from pillars.cli.doctor.finding import Check, Finding, Needs, ok
from pillars.cli.doctor.running import _canary
from pillars.cli.doctor.server import judged_notifications, judged_xids
from pillars.cli.doctor.subject import Code, Subject, subject
from pillars.cli.postgres import Postgres
from pillars.jobs.canary import canary
from pillars.registry import Registry
from pillars.schedules import Schedule
from pillars.settings import load
from pillars.store import migrate, schedules
from pillars.store.database import Database
from pillars.version import __version__
from relaying import relay
from stepping import define, hand, put
from support import ask, asking, counts, move_clock, running, tell, until, worker_for

ROOT = Path(__file__).parent.parent.parent
BY_ID = {check.id: check for check in CHECKS}
SOUND = Code(report=Report(), registry=Registry({}, {}), took=timedelta(0))


@job(name="tick")
async def tick() -> None: ...


async def find(
    url: str,
    check: str | Check,
    *,
    direct: str | None = None,
    code: Code = SOUND,
    environ: Mapping[str, str] | None = None,
    seen: Mapping[str, Any] | None = None,
    **flags: object,
) -> Finding:
    """What one check finds; `seen` are fields of its subject that are otherwise than they are."""
    told = {
        "env": "dev",
        "database_url": url,
        "database_direct_url": direct,
        "sql": ROOT / "sql" / "app",
    }
    settings = load(flags={**told, **flags}, environ={}, project=Path(__file__).parent)
    async with subject(settings, code, Postgres(url, direct or url)) as found:
        patient = replace(found, environ=environ or {}, **(seen or {}))
        return await look(BY_ID[check] if isinstance(check, str) else check, patient)


async def appear(db: str, role: str = "worker", **columns: object) -> None:
    """A process's row, as it writes it itself."""
    row: dict[str, object] = {
        "worker_id": uuid4(), "role": role, "host": "elsewhere", "pid": 7, "version": __version__,
        "commit_sha": "local", "deployment": "tests", "state": "running", "slots": 10, **columns,
    }  # fmt: skip
    slots = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await tell(
        db, f"insert into pillars.workers ({', '.join(row)}) values ({slots})", *row.values()
    )


async def plan(db: str, **columns: object) -> None:
    """A schedule's row, as a sync writes it, then changed."""
    async with hand(db) as syncing:
        row = Schedule(rule=every("1h", tick).rule, call=tick.call(), name="beat").row(
            await schedules.now(syncing.session)
        )
        async with syncing.session.transaction():
            await schedules.sync(syncing.session, [row], deployment="tests")
    for column, value in columns.items():
        await tell(db, f"update pillars.schedules set {column} = $1", value)


def assert_finds(found: Finding, status: str, *words: str) -> None:
    assert found.status == status, found
    for word in words:
        assert word in f"{found.evidence} -> {found.fix}", found
    assert "\n" not in found.evidence
    assert (found.fix is not None) == (status in {"warn", "fail"})


# --- code, web, platform ------------------------------------------------------------------------------------


async def test_a_package_of_another_version_is_found(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_finds(await find(db, "code.python"), "ok", "three-pillars")
    older = tmp_path / "asyncpg-0.1.dist-info"
    older.mkdir()
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: asyncpg\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert_finds(await find(db, "code.python"), "fail", "asyncpg is 0.1, expected", "pip install")


async def test_broken_or_slow_code_is_found(db: str) -> None:
    broken = replace(SOUND, report=Report(problems=[Problem("no such module", "jobs/mail.py:3")]))
    assert_finds(
        await find(db, "code.imports", code=broken),
        "fail",
        "jobs/mail.py:3: no such module",
        "app check",
    )
    slow = replace(SOUND, took=timedelta(seconds=11))
    assert_finds(await find(db, "code.imports", code=slow), "warn", "in 11.0 s")
    assert_finds(await find(db, "code.imports"), "ok", "0 jobs, 0 schedules, web none")


async def test_a_doubtful_setting_is_found(db: str) -> None:
    assert_finds(
        await find(db, "code.settings", env="prod", lock="5s"),
        "warn",
        "a lock of 5s is short for prod",
    )
    assert_finds(
        await find(db, "code.settings"), "ok", "env is dev", "all others at their defaults"
    )
    # A short token is the affair of web.tokens.
    found = await find(db, "code.settings", env="prod", token="short", view_token="brief")
    assert_finds(found, "ok")


async def test_a_port_of_another_program_is_found_and_our_own_is_not(db: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert_finds(await find(db, "web.port", port=0), "ok", "is free")
        taken.listen()
        port = taken.getsockname()[1]
        assert_finds(
            await find(db, "web.port", port=port),
            "warn",
            f"port {port} is in use",
            f"lsof -i :{port}",
        )
        await appear(db, "web", host=socket.gethostname())
        assert_finds(await find(db, "web.port", port=port), "ok", "app web runs here (pid 7)")


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ({}, "ok", "127.0.0.1 answers this machine alone"),
        ({"host": "0.0.0.0"}, "warn", "answered with 401"),
        ({"env": "prod"}, "fail", "answered with 401"),
        ({"env": "prod", "token": "short"}, "fail", "PILLARS_TOKEN: shorter than 16"),
        ({"token": "short"}, "warn", "PILLARS_TOKEN: shorter than 16"),
        ({"env": "prod", "token": "x" * 16}, "ok", "PILLARS_TOKEN set"),
    ],
)  # fmt: skip
async def test_an_api_without_a_token_or_with_a_short_one_is_found(
    db: str, flags: dict[str, Any], status: str, words: str
) -> None:
    assert_finds(await find(db, "web.tokens", **flags), status, words)


@pytest.mark.parametrize(
    ("platform", "drain", "status", "words"),
    [
        ("HOME", "25s", "ok", "no platform"),
        ("FLY_APP_NAME", "4s", "ok", "kill comes after 5s"),
        ("FLY_APP_NAME", "25s", "warn", "PILLARS_DRAIN to 4s or less, or raise kill_timeout"),
        ("DYNO", "25s", "ok", "30s"),
        ("DYNO", "40s", "warn", "PILLARS_DRAIN to 29s"),
        ("KUBERNETES_SERVICE_HOST", "30s", "warn", "terminationGracePeriodSeconds"),
    ],
)
async def test_a_platform_that_kills_before_the_drain_is_over_is_found(
    db: str, platform: str, drain: str, status: str, words: str
) -> None:
    found = await find(db, "platform.drain", drain=drain, environ={platform: "x"})
    assert_finds(found, status, words)


@pytest.mark.parametrize(
    ("said", "status"), [("60", "ok"), ('"60s"', "ok"), ("5", "warn"), ("=", "warn")]
)
async def test_the_kill_timeout_of_fly_is_read(
    db: str, tmp_path: Path, said: str, status: str
) -> None:
    (tmp_path / "fly.toml").write_text(f"kill_timeout = {said}\n")
    settings = load(flags={"drain": "25s"}, environ={}, project=tmp_path)
    found = await find(
        db, "platform.drain", environ={"FLY_APP_NAME": "x"}, seen={"settings": settings}
    )
    assert_finds(found, status)


# --- the database -------------------------------------------------------------------------------------------


async def test_without_a_database_the_rest_is_skipped_with_the_reason() -> None:
    nowhere = "postgresql://me:hunter2@127.0.0.1:1/none"
    settings = load(
        flags={"database_url": nowhere, "env": "dev"}, environ={}, project=Path(__file__).parent
    )
    async with subject(settings, SOUND, Postgres(nowhere, nowhere)) as patient:
        found = {check.id: finding async for check, finding in examine(CHECKS, patient)}
    assert_finds(
        found["database.reachable"], "fail", "no connection to postgresql://me:***@127.0.0.1:1/none"
    )
    assert {
        one.status for check, one in found.items() if BY_ID[check].needs is not Needs.NOTHING
    } == {"skip"}
    assert "hunter2" not in str(found)


async def test_a_server_that_is_too_old_is_found(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_finds(await find(db, "database.reachable"), "ok", "Postgres ")
    monkeypatch.setattr(migrate, "LEAST_POSTGRES", 99)
    assert_finds(await find(db, "database.reachable"), "fail", "upgrade it")


async def test_a_database_that_takes_no_writes_is_found(db: str) -> None:
    assert_finds(await find(db, "database.writable"), "ok")
    name = await ask(db, "select current_database()")
    await tell(db, f'alter database "{name}" set default_transaction_read_only = on')
    assert_finds(await find(db, "database.writable"), "fail", "read-only")


async def test_a_far_database_is_found(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SLOW", timedelta(0))
    assert_finds(await find(db, "database.latency"), "warn", "ms a round trip")
    monkeypatch.setattr(server, "SLOW", timedelta(hours=1))
    assert_finds(await find(db, "database.latency"), "ok", "ms a round trip")


async def test_clocks_that_differ_are_found(db: str) -> None:
    assert_finds(await find(db, "database.clock"), "ok")
    await move_clock(db, timedelta(seconds=10))
    assert_finds(await find(db, "database.clock"), "warn", "s ahead", "NTP")
    await move_clock(db, -timedelta(days=2))
    assert_finds(await find(db, "database.clock"), "fail", "behind")


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("postgresql://db.example.com/x", "warn", "sslmode prefer, not encrypted"),
        ("postgresql://db.example.com/x?sslmode=require", "warn", "sslmode require"),
        ("postgresql://db.example.com/x?sslmode=verify-full", "ok", "verify-full"),
        ("postgresql:///x?host=/tmp", "ok", "on this machine"),
        ("postgresql://127.0.0.1,db.example.com/x", "warn", "prefer"),
    ],
)
async def test_an_open_way_to_a_server_elsewhere_is_found(
    db: str, url: str, status: str, words: str
) -> None:
    assert_finds(await find(db, "database.tls", seen={"url": url}), status, words)


async def test_a_role_that_may_neither_migrate_nor_work_is_found(db: str, empty_db: str) -> None:
    assert_finds(await find(db, "database.role"), "ok")
    role = f"weak_{uuid4().hex[:8]}"
    await tell(db, f"create role {role} login")
    try:
        weak = as_role(db, role)
        assert_finds(
            await find(weak, "database.role"),
            "warn",
            f"role {role} may neither work nor create in the schema",
        )
        assert_finds(
            await find(weak, "database.role", env="prod"), "fail", f"grant pillars_worker to {role}"
        )
        assert_finds(
            await find(as_role(empty_db, role), "database.role"), "warn", "nor create a schema"
        )
        assert_finds(await find(weak, "jobs.waiting"), "skip", "permission denied")
        await tell(db, "revoke execute on function pg_control_system() from public")
        assert_finds(
            await find(weak, "database.direct", direct=weak), "skip", "this role may not look"
        )
        await tell(db, f"grant create, usage on schema pillars to {role}")
        assert_finds(
            await find(weak, "database.role"), "fail", "neither owns pillars.finished_jobs"
        )
    finally:
        await tell(db, f"drop owned by {role}")
        await tell(db, f"drop role {role}")


def as_role(url: str, role: str) -> str:
    """A URL whose sessions have set this role."""
    return f"{url}{'&' if '?' in url else '?'}role={role}"


def of_another_backend(content: bytes) -> bytes:
    """As a pooler greets: BackendKeyData (K, its length, pid, key) with a pid of its own."""
    head, key, rest = content.partition(b"K\0\0\0\x0c")
    return head + key + b"\x7f\0\0\1" + rest[4:] if key else content


async def test_a_pooler_is_found_where_sessions_are_needed(db: str) -> None:
    assert_finds(await find(db, "database.pooler"), "ok", "none between")
    async with relay(db, of_another_backend) as pooled:
        found = await find(pooled, "database.pooler")
        assert_finds(found, "warn", "DATABASE_URL leads through a pooler", "DATABASE_DIRECT_URL")
        assert_finds(await find(pooled, "database.pooler", direct=db), "ok", "past it")
        found = await find(db, "database.pooler", direct=pooled)
        assert_finds(found, "warn", "DATABASE_DIRECT_URL leads through a pooler")
        await appear(db)
        assert_finds(await find(pooled, "database.connections", pool=1000), "ok", "may open 1006")


async def test_a_direct_url_to_another_database_is_found(db: str, empty_db: str) -> None:
    assert_finds(await find(db, "database.direct"), "ok", "not set")
    assert_finds(await find(db, "database.direct", direct=db), "ok", "both are database")
    assert_finds(
        await find(db, "database.direct", direct=empty_db), "fail", "correct DATABASE_DIRECT_URL"
    )


async def test_a_direct_url_to_nowhere_is_found(db: str) -> None:
    nowhere = "postgresql://127.0.0.1:1/none"
    assert_finds(await find(db, "database.pooler", direct=nowhere), "fail", "no connection to")
    assert_finds(await find(db, "database.listen", direct=nowhere), "skip", "no direct connection")


async def test_notifications_that_are_not_heard_are_found(db: str, empty_db: str) -> None:
    assert_finds(await find(db, "database.listen"), "ok", "a notification takes")
    found = await find(db, "database.listen", direct=empty_db)
    assert_finds(found, "warn", "workers only poll", "DATABASE_DIRECT_URL")


async def test_more_pools_than_the_server_has_connections_are_found(db: str) -> None:
    await appear(db)
    assert_finds(await find(db, "database.connections"), "ok", "1 processes may open 16")
    assert_finds(
        await find(db, "database.connections", pool=1000), "warn", "may open 1006", "PILLARS_POOL"
    )


async def test_three_pillars_in_one_process_share_its_pools(db: str) -> None:
    for role in ("web", "worker", "cron"):
        await appear(db, role)
    assert_finds(await find(db, "database.connections"), "ok", "1 processes may open 17")


async def test_a_server_that_forgets_is_found_in_prod(db: str) -> None:
    assert_finds(await find(db, "database.durability"), "ok", "fsync", "this is dev")
    found = await find(db, "database.durability", env="prod")
    assert_finds(found, "fail", "fsync, full_page_writes, synchronous_commit off")


@pytest.mark.parametrize(
    ("age", "status"), [(200_000_000, "ok"), (600_000_000, "warn"), (1_600_000_000, "fail")]
)
def test_a_server_near_the_end_of_its_transaction_numbers_is_found(age: int, status: str) -> None:
    assert_finds(judged_xids(age), status)


@pytest.mark.parametrize(("used", "status"), [(0.01, "ok"), (0.2, "warn"), (0.6, "fail")])
def test_a_notification_queue_that_fills_is_found(used: float, status: str) -> None:
    assert_finds(judged_notifications(used), status)


async def test_the_server_is_asked_for_both(db: str) -> None:
    assert_finds(await find(db, "database.xids"), "ok", "back")
    assert_finds(await find(db, "database.notifications"), "ok", "0%")


# --- the schema ---------------------------------------------------------------------------------------------


async def test_a_schema_that_is_behind_or_ahead_is_found(db: str, empty_db: str) -> None:
    assert_finds(await find(db, "schema.migrations"), "ok", "are applied")
    assert_finds(await find(empty_db, "schema.migrations"), "fail", "are missing", "app migrate")
    await tell(db, "insert into pillars.migrations values ('app', 99, '0099_later', 'x')")
    assert_finds(await find(db, "schema.migrations"), "fail", "newer than this code", "deploy")


async def test_days_that_are_missing_or_kept_for_ever_are_found(db: str) -> None:
    assert_finds(await find(db, "schema.days"), "ok", "every day from today to 3 days ahead")
    await move_clock(db, timedelta(days=3))
    assert_finds(await find(db, "schema.days"), "warn", "reaches to today", "app migrate")
    await move_clock(db, timedelta(days=40))
    assert_finds(await find(db, "schema.days"), "fail", "not even to today")
    await tell(db, "select pillars.make_days()")
    assert_finds(await find(db, "schema.days"), "warn", "goes back 43 days")


async def test_dead_rows_that_nobody_removes_are_found(db: str) -> None:
    assert_finds(await find(db, "schema.vacuum"), "ok")
    assert_finds(await find(db, "schema.vacuum", env="prod"), "fail", "autovacuum")
    await put(db, 10_001)
    await tell(db, "delete from pillars.jobs")
    assert_finds(
        await find(db, "schema.vacuum"), "warn", "jobs 10,001 dead beside 0 live", "vacuumed never"
    )


async def test_a_transaction_that_stays_open_is_found(db: str) -> None:
    async with asking(db) as holder, holder.transaction():
        await holder.execute("set application_name = 'report'; select pg_current_xact_id()")
        assert_finds(await find(db, "schema.snapshots"), "ok")
        await move_clock(db, timedelta(minutes=10))
        found = await find(db, "schema.snapshots", env="prod")
        assert_finds(
            found, "warn", "(report, idle in transaction) open for 10m", "pg_terminate_backend"
        )
        await move_clock(db, timedelta(hours=1))
        assert_finds(await find(db, "schema.snapshots", env="prod"), "fail", "1h10m")


# --- processes and work -------------------------------------------------------------------------------------


async def test_workers_that_are_missing_deaf_or_dead_are_found(db: str) -> None:
    assert_finds(await find(db, "processes.workers"), "warn", "no worker is alive")
    assert_finds(await find(db, "processes.workers", env="prod"), "fail", "app worker")
    await appear(db, pid=8)
    assert_finds(await find(db, "processes.workers"), "ok", "1 alive with 10 slots")
    await tell(db, "update pillars.workers set listening = false")
    assert_finds(await find(db, "processes.workers"), "warn", "pid 8 cannot hear")
    await move_clock(db, timedelta(minutes=1))
    await appear(db)
    assert_finds(
        await find(db, "processes.workers"), "warn", "pid 8, last seen", "ended without a word"
    )


async def test_processes_of_another_release_are_found(db: str) -> None:
    await appear(db, "web")
    assert_finds(await find(db, "processes.versions"), "ok", "1 processes run")
    await appear(db, commit_sha="abc1234")
    found = await find(db, "processes.versions", git_commit_sha="def5678aaaa")
    assert_finds(
        found, "warn", f"runs {__version__} abc1234", f"this code is {__version__} def5678"
    )


async def test_locks_that_nobody_gives_back_are_found(db: str) -> None:
    lock = "insert into pillars.locks (locked_by, expires_at, job_ids) values ($1::uuid, pillars.now() - $2::interval, array[$1::uuid])"
    await tell(db, lock, uuid4(), timedelta(seconds=5))
    assert_finds(await find(db, "jobs.locks"), "ok")
    await tell(db, lock, uuid4(), timedelta(seconds=26))
    found = await find(db, "jobs.locks")
    assert_finds(found, "fail", "1 jobs of 1 claims")
    assert re.search(r"\b(2[6-9]|[3-9]\d)s ago", found.evidence)


async def test_code_that_runs_on_past_its_deadline_is_found(db: str) -> None:
    await put(db, name="thread")
    await tell(
        db,
        """update pillars.jobs set locked_by = pillars.uuid7(), lock_token = 1, locked_at = pillars.now(),
                                   deadline_at = pillars.now() + interval '1 minute'""",
    )
    assert_finds(await find(db, "jobs.overdue"), "ok")
    await move_clock(db, timedelta(minutes=2))
    assert_finds(await find(db, "jobs.overdue"), "warn", '1 of "thread" by ')
    await tell(db, "update pillars.jobs set paused_at = pillars.now(), parked = true")
    assert_finds(await find(db, "jobs.overdue"), "ok")


async def test_a_ready_job_that_waits_is_found_with_the_reason(db: str) -> None:
    await put(db, queue="mail", name="send")
    assert_finds(await find(db, "jobs.waiting"), "ok")
    await move_clock(db, timedelta(minutes=2))
    found = await find(db, "jobs.waiting")
    assert_finds(
        found,
        "warn",
        'queue mail: 1 ready, the oldest ("send") for 2m',
        "no worker that is alive",
        "app worker -q mail",
    )
    assert_finds(await find(db, "jobs.waiting", env="prod"), "fail")
    await appear(db, queues=["other"])
    assert_finds(await find(db, "jobs.waiting"), "warn", "no worker that is alive serves it")
    await appear(db, queues=["mail"], running=10)
    assert_finds(await find(db, "jobs.waiting", env="prod"), "warn", "all 10 slots are taken")
    await tell(db, "update pillars.workers set running = 0")
    assert_finds(await find(db, "jobs.waiting"), "warn", "do not take it")
    await tell(db, "insert into pillars.queues values ('mail', now())")
    assert_finds(
        await find(db, "jobs.waiting", env="prod"),
        "warn",
        "the queue is paused",
        "app queues resume mail",
    )


async def test_a_name_that_no_code_defines_is_found(db: str) -> None:
    await define(db, "kept")
    await put(db, 2, name="kept")
    assert_finds(await find(db, "jobs.names"), "ok")
    assert_finds(
        await find(db, "jobs.names", deployment="tests"),
        "warn",
        'tests no longer defines: 2 of "kept"',
    )
    await put(db, 3, name="nobody.knows")
    assert_finds(await find(db, "jobs.names"), "warn", '3 of "nobody.knows"', "deploy")


async def test_jobs_of_a_paused_name_are_found_and_not_blamed_on_their_workers(db: str) -> None:
    await define(db, "held")
    await put(db, 2, name="held")
    await tell(db, "select pillars.pause_name('held')")
    await appear(db)
    await move_clock(db, timedelta(minutes=5))
    await tell(db, "update pillars.workers set seen_at = pillars.now()")
    assert_finds(await find(db, "jobs.waiting"), "ok")
    assert_finds(await find(db, "jobs.names"), "warn", '2 of "held"', "app names resume held")


async def test_broken_code_is_not_said_to_lack_its_names(db: str) -> None:
    await define(db, "kept")
    await put(db, name="kept")
    broken = replace(SOUND, report=Report(problems=[Problem("broken")]))
    assert_finds(await find(db, "jobs.names", deployment="tests", code=broken), "ok")


async def test_schedules_without_a_leader_are_found(db: str) -> None:
    assert_finds(await find(db, "cron.leader"), "ok", "no schedule")
    await plan(db)
    assert_finds(
        await find(db, "cron.leader", env="prod"), "fail", "no cron process is alive", "app cron"
    )
    await appear(db, "cron", pid=1, leads=True)
    assert_finds(await find(db, "cron.leader"), "ok", "pid 1 leads")
    await move_clock(db, timedelta(minutes=1))
    await appear(db, "cron", pid=2)
    assert_finds(
        await find(db, "cron.leader"), "warn", "none leads; cron elsewhere pid 1, last seen"
    )
    await tell(db, "update pillars.workers set leads = true, seen_at = pillars.now()")
    assert_finds(await find(db, "cron.leader"), "warn", "2 processes say that they lead")


async def test_schedules_that_fail_or_are_late_are_found(db: str) -> None:
    await plan(db)
    assert_finds(await find(db, "cron.schedules"), "ok", "1 schedule, 0 paused")
    await move_clock(db, timedelta(hours=3))
    assert_finds(await find(db, "cron.schedules", env="prod"), "fail", "beat is due since")
    await tell(db, "update pillars.schedules set last_error = 'no such zone'")
    assert_finds(await find(db, "cron.schedules"), "fail", "beat: no such zone")


# --- the canary ---------------------------------------------------------------------------------------------


async def sing(db: str, *, queue: str = "default", patience: str = "20s") -> Finding:
    return await find(db, _canary(queue, timedelta(seconds=float(patience[:-1]))))


async def unfinished(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


async def test_a_canary_comes_back_from_a_worker(db: str, database: Database) -> None:
    async with running(worker_for(database, canary, queues="mail")):
        found = await sing(db, queue="mail")
    assert_finds(found, "ok", f"ran on {socket.gethostname()} pid ", "started after", "ended after")


async def test_a_canary_that_comes_back_from_a_queue_nobody_names_is_doubtful(
    db: str, database: Database
) -> None:
    await put(db, queue="mail", name="kept")
    async with running(worker_for(database, canary)):
        found = await sing(db, queue="mial")
        assert_finds(found, "warn", 'no queue named "mial"; did you mean "mail"?', "ran on ")
        assert_finds(await sing(db), "ok")


async def test_a_canary_that_no_worker_takes_is_cancelled_and_told_why(db: str) -> None:
    assert_finds(
        await sing(db, patience="0.1s"), "fail", "no worker that is alive serves it", "app worker"
    )
    await appear(db)
    await tell(db, "insert into pillars.queues values ('default', now())")
    assert_finds(
        await sing(db, patience="0.1s"), "fail", "the queue is paused", "app queues resume default"
    )
    assert await unfinished(db) == 0
    assert await ask(db, "select array_agg(distinct state) from pillars.finished_jobs") == [
        "cancelled"
    ]


async def test_a_canary_that_older_workers_do_not_know_is_told_so(db: str) -> None:
    async def swept() -> bool:
        async with hand(db) as sweeper:
            await sweeper.sweep()
        return bool(await ask(db, "select count(*) from pillars.jobs where parked"))

    found: list[Finding] = []

    async def singing() -> None:
        found.append(await sing(db, patience="1s"))

    async with anyio.create_task_group() as group:
        group.start_soon(singing)
        await until(swept)
    assert_finds(found[0], "fail", "no process defines the job pillars.canary", "older release")
    assert await unfinished(db) == 0


# --- the whole ----------------------------------------------------------------------------------------------


async def test_a_check_that_breaks_stops_no_other(db: str) -> None:
    async def breaks(_: Subject) -> Finding:
        raise ZeroDivisionError

    async def stands(_: Subject) -> Finding:
        return ok("well")

    settings = load(flags={"env": "dev"}, environ={}, project=Path(__file__).parent)
    async with subject(settings, SOUND, Postgres(db, db)) as patient:
        checks = [Check("a.breaks", breaks), Check("a.stands", stands)]
        found = [finding async for _, finding in examine(checks, patient)]
    assert_finds(found[0], "fail", "the check itself broke: ZeroDivisionError")
    assert_finds(found[1], "ok", "well")


async def test_problems_alone_are_printed_and_all_are_counted(app: Run, db: str) -> None:
    everything = await app("doctor", "--canary", "--timeout", "0.1s", code=1)
    groups = [line for line in everything.out.splitlines()[:-1] if line and line[0] != " "]
    assert len(groups) == len(set(groups))
    assert "  ok  " in everything.out
    said = await app("doctor", "--problems", code=1)
    assert "  fail  " in said.out
    assert not re.search("^  (ok|skip) ", said.out, re.MULTILINE)
    counted = sum(map(int, re.findall(r"\d+", said.out.splitlines()[-1])))
    assert counted == len(CHECKS)
    found = (await app("doctor", "--problems", "--json", code=1)).json
    assert {one["status"] for one in found["checks"]} <= {"warn", "fail"}


def test_every_check_has_a_paragraph_and_every_paragraph_a_check() -> None:
    page = (ROOT / "docs" / "reference" / "doctor.md").read_text()
    told = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert told == [*(check.id for check in CHECKS), CANARY]


async def test_looking_writes_nothing(db: str) -> None:
    await plan(db)
    await appear(db)
    await put(db, 2)
    before = await counts(db)
    settings = load(flags={"env": "dev"}, environ={}, project=Path(__file__).parent)
    async with subject(settings, SOUND, Postgres(db, db)) as patient:
        assert len([finding async for finding in examine(CHECKS, patient)]) == len(CHECKS)
    assert await counts(db) == before
