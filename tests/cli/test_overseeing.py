"""`app queues`, `app schedules`, `app workers`."""

import json
import re
from typing import Any
from uuid import uuid4

from cli.said import Run
from pillars import crontab, every, job
from pillars.cli.recording import actor
from pillars.codec import to_json
from pillars.cron.syncing import sync
from pillars.store import listing, names, queues, schedules, workers
from pillars.store.database import Database
from pillars.store.workers import Presence
from stepping import define
from support import ask, tell


@job(name="digest", queue="reports")
async def digest(days: int = 1) -> None: ...


NIGHTLY = crontab("0 3 * * *", digest.call(7), tz="Europe/Berlin", name="crons.nightly")
PULSE = every("30s", digest.call(), name="crons.pulse")


async def appear(database: Database, role: str = "worker", **said: Any) -> None:
    row: dict[str, Any] = {
        "state": "running",
        "slots": 100,
        "running": 3,
        "listening": True,
        **said,
    }
    await workers.appear(
        database.pool,
        Presence(
            worker_id=uuid4(),
            role=role,
            host="box",
            pid=42,
            version="0.1.0",
            commit="abcdef123",
            deployment="shop",
            **row,
        ),
    )


async def waiting(db: str, queue: str, count: int = 1) -> None:
    await tell(
        db,
        "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'a', $1 from generate_series(1, $2)",
        queue, count,
    )  # fmt: skip


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()[1:]]


# --- queues -------------------------------------------------------------------------------------------------


async def test_queues_show_what_waits_and_who_serves(app: Run, db: str, database: Database) -> None:
    assert (await app("queues", "list")).err.startswith("no queues yet")
    await waiting(db, "mail", 1200)
    await waiting(db, "rare")
    await appear(database, queues=["mail"])
    await app("queues", "pause", "mail")
    said = await app("queues", "list")
    assert [row[:5] for row in rows(said.out)] == [
        ["mail", "1,200", "0", "0", "0"],
        ["rare", "1", "0", "0", "0"],
    ]
    assert "paused" in said.out.splitlines()[1]
    assert "no worker serves rare; start one: app worker" in said.err


async def test_json_of_listings_is_the_rows_of_the_store(
    app: Run, db: str, database: Database
) -> None:
    await waiting(db, "mail")
    await define(db, "a")
    await appear(database)
    await sync(database, [PULSE], deployment="shop")
    for noun, listed in (
        ("names", names.listed),
        ("queues", queues.listed),
        ("schedules", schedules.listed),
        ("workers", workers.listed),
    ):
        said = await app(noun, "list", "--json")
        shown = json.loads(
            to_json({"items": [listing.plain(row) for row in await listed(database.pool)]})
        )
        seen = said.json
        for item in (*seen["items"], *shown["items"]):
            item.pop("oldest_ready_seconds", None)  # it passes
        assert seen["items"]
        assert seen == shown
        assert said.err == ""


async def test_pausing_twice_is_no_mistake_and_every_name_is_tried(app: Run, db: str) -> None:
    await waiting(db, "mail")
    await waiting(db, "slow")
    said = await app("queues", "pause", "mail", "mial", "slow", code=1)
    assert said.out == "mail paused; what runs goes on\nslow paused; what runs goes on\n"
    assert said.err == 'app: no queue named "mial"; did you mean "mail"?\n'
    await app("queues", "pause", "mail")
    assert await ask(db, "select count(*) from pillars.queues where paused_at is not null") == 2
    said = await app("queues", "resume", "mail", "--json")
    assert [(one["name"], one["paused_at"]) for one in said.json["items"]] == [("mail", None)]


# --- names --------------------------------------------------------------------------------------------------


async def test_names_show_what_waits_and_who_paused_them(app: Run, db: str) -> None:
    assert (await app("names", "list")).err.startswith("no names yet")
    await define(db, "a")
    await define(db, "jobs.mail.send", queue="mail")
    await waiting(db, "elsewhere", 1200)
    said = await app("names", "pause", "a", "jobs.mail.sned", code=1)
    assert said.out == "a paused; what runs goes on\n"
    assert said.err == 'app: no job named "jobs.mail.sned"; did you mean "jobs.mail.send"?\n'
    said = await app("names", "list")
    assert [row[:7] for row in rows(said.out)] == [
        ["a", "async", "default", "1,200", "0", "0", "0"],
        ["jobs.mail.send", "async", "mail", "0", "0", "0", "0"],
    ]
    assert f"paused now  {actor()}" in said.out.splitlines()[1]
    assert said.err == "2 names\n"
    said = await app("names", "resume", "a", "--json")
    assert [(one["name"], one["ready"], one["paused_by"]) for one in said.json["items"]] == [
        ("a", 1200, None)
    ]


# --- schedules ----------------------------------------------------------------------------------------------


async def test_schedules_show_rule_next_and_last(app: Run, db: str, database: Database) -> None:
    assert (await app("schedules", "list")).err.startswith("no schedules; write one in crons/")
    await sync(database, [NIGHTLY, PULSE], deployment="shop")
    await tell(
        db,
        "insert into pillars.ticks (schedule, tick, outcome, missed) values ('crons.pulse', pillars.now() - interval '3 m', 'overlapped', 4)",
    )
    await tell(
        db,
        "update pillars.schedules set last_error = E'no zone \\x1b[2J' where name = 'crons.nightly'",
    )
    await app("schedules", "pause", "crons.nightly")
    nightly, pulse = (await app("schedules", "list")).out.splitlines()[1:]
    assert "0 3 * * *" in nightly
    assert "Europe/Berlin" in nightly
    assert "paused" in nightly
    assert r"no zone \x1b[2J" in nightly
    assert "every 30s" in pulse
    assert "3 m ago overlapped, 4 missed" in pulse
    said = await app("schedules", "resume", "crons.nightly", "--json")
    assert said.json["items"][0]["paused_at"] is None


async def test_run_makes_the_job_and_prints_its_id(app: Run, db: str, database: Database) -> None:
    await sync(database, [NIGHTLY], deployment="shop")
    said = await app("schedules", "run", "crons.nightly")
    assert said.out.strip() == await ask(db, "select job_id::text from pillars.jobs")
    said = await app("schedules", "run", "crons.nightly", "--json")
    assert (said.json["name"], said.json["payload"]) == ("digest", {"days": 7})
    assert await ask(db, "select count(*) from pillars.ticks") == 0
    said = await app("schedules", "run", "crons.nightyl", code=1)
    assert said.err == 'app: no schedule named "crons.nightyl"; did you mean "crons.nightly"?\n'


# --- workers ------------------------------------------------------------------------------------------------


async def test_workers_show_where_they_run_and_the_dead_as_dead(
    app: Run, db: str, database: Database
) -> None:
    assert (await app("workers", "list")).err.startswith("no process is running")
    await appear(database, queues=["mail", "slow"])
    await appear(database, "cron", leads=True, listening=None)
    await appear(database, listening=False)
    await tell(
        db,
        "update pillars.workers set seen_at = pillars.now() - interval '5 m' where not listening",
    )
    said = await app("workers", "list")
    alive = next(line for line in said.out.splitlines() if "mail, slow" in line)
    assert alive.split()[:2] == ["worker", "box:42"]
    for shown in ("running", "0.1.0/abcdef1", "3/100", "notification"):
        assert shown in alive
    assert re.search(r"notification  (?:now|\d+ s ago) ", alive)
    assert "cron (leads)" in said.out
    dead = next(line for line in said.out.splitlines() if "dead" in line)
    assert "5 m ago" in dead
    assert "polling" in dead
    assert said.err == "3 processes, 1 dead\n"
