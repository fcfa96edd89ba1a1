"""What commands change is written down, and `app audit` lists it."""

import json
from typing import Any

import pytest

from cli.said import Run
from pages import end, enqueue
from pillars import every, job
from pillars.cli.recording import actor
from pillars.cron.syncing import sync
from pillars.store import audit
from pillars.store.audit import Deed
from pillars.store.database import Database
from stepping import define
from support import tell

PASSWORD = "correct horse battery"


@job(name="fetch")
async def fetch() -> None: ...


async def listed(app: Run) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await app("audit", "list", "--json")).json["items"]
    return items


@pytest.mark.parametrize(
    ("words", "action", "target", "details"),
    [
        (("jobs", "cancel", "READY"), "job.cancel", "READY", {}),
        (("jobs", "retry", "FAILED"), "job.retry", "FAILED", {}),
        (("queues", "pause", "default"), "queue.pause", "default", {}),
        (("queues", "resume", "default"), "queue.resume", "default", {}),
        (("names", "pause", "fetch"), "name.pause", "fetch", {}),
        (("names", "resume", "fetch"), "name.resume", "fetch", {}),
        (("schedules", "pause", "hourly"), "schedule.pause", "hourly", {}),
        (("schedules", "resume", "hourly"), "schedule.resume", "hourly", {}),
        (("accounts", "add", "bob", "--scope", "view"), "account.add", "bob", {"scope": "view"}),
        (("accounts", "password", "ada"), "account.password", "ada", {}),
        (("accounts", "remove", "ada"), "account.remove", "ada", {}),
        (
            ("jobs", "cancel", "--state", "ready", "--queue", "default", "--yes"), "job.cancel", None,
            {"jobs": "--state ready --queue default", "cancelled": 1, "requested": 0, "left": 0},
        ),
    ],
)  # fmt: skip
async def test_a_command_that_changes_something_leaves_a_row(
    app: Run, db: str, database: Database, *, words: tuple[str, ...], action: str, target: str | None,
    details: dict[str, Any],
) -> None:  # fmt: skip
    ids = {"READY": await enqueue(db), "FAILED": await enqueue(db)}
    await end(db, ids["FAILED"], "failed")
    await define(db, "fetch")
    await sync(database, [every("1h", fetch.call(), name="hourly")], deployment="shop")
    await app("accounts", "add", "ada", "--scope", "view", typed=PASSWORD)
    await tell(db, "delete from pillars.audit")
    await app(*(ids.get(word, word) for word in words), typed=f"{PASSWORD}\n")
    [row] = await listed(app)
    assert (row["actor"], row["action"], row["address"]) == (actor(), action, None)
    assert row["actor"].startswith("cli:")
    assert (row["target"], row["details"]) == (ids.get(target or "", target), details)


async def test_a_job_that_is_made_by_a_command_leaves_a_row_with_its_id(
    app: Run, db: str, database: Database
) -> None:
    await sync(database, [every("1h", fetch.call(), name="hourly")], deployment="shop")
    await tell(
        db,
        """insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
           values ('fetch', 'async', 'default', 0, 4, 3, '15m', 'full', '{}', 'app')""",
    )
    enqueued = (await app("jobs", "enqueue", "fetch")).out.strip()
    ran = (await app("schedules", "run", "hourly")).out.strip()
    newest, oldest = await listed(app)
    assert (oldest["action"], oldest["target"]) == ("job.enqueue", enqueued)
    assert oldest["details"] == {"name": "fetch", "created": True}
    assert (newest["action"], newest["target"]) == ("schedule.run", "hourly")
    assert newest["details"] == {"job_id": ran, "created": True}


async def test_what_came_to_nothing_leaves_no_row(app: Run, db: str) -> None:
    done = await enqueue(db)
    await end(db, done, "completed")
    await app("jobs", "cancel", done, code=1)
    await app("jobs", "retry", done, code=1)
    await app("queues", "pause", "nowhere", code=1)
    await app("accounts", "remove", "ada", code=1)
    assert await listed(app) == []
    assert "nothing was written down" in (await app("audit", "list")).err


async def test_a_pause_that_cannot_be_written_down_is_not_made(app: Run, db: str) -> None:
    await enqueue(db)
    await tell(db, "alter table pillars.audit rename to gone")
    await app("queues", "pause", "default", code=1)
    [queue] = (await app("queues", "list", "--json")).json["items"]
    assert queue["paused_at"] is None


async def test_a_job_that_was_cancelled_is_told_though_it_cannot_be_written_down(
    app: Run, db: str
) -> None:
    job_id = await enqueue(db)
    await tell(db, "alter table pillars.audit rename to gone")
    said = await app("jobs", "cancel", job_id)
    assert f"{job_id} cancelled" in said.out
    assert "done, but the audit trail has no row of it" in said.err


async def test_the_newest_come_first_and_the_line_below_says_how_to_go_on(
    app: Run, database: Database
) -> None:
    for number in range(5):
        deed = Deed(actor=f"user{number}", action="login", address="10.0.0.1", details={"n": 1})
        await audit.write(database.pool, deed)
    first = await app("audit", "list", "--limit", "2")
    assert [line.split()[0] for line in first.out.splitlines()[1:]] == ["5", "4"]
    assert "2 rows; more: app audit list --before 4" in first.err
    page = (await app("audit", "list", "--limit", "3", "--before", "4", "--json")).json
    assert [row["actor"] for row in page["items"]] == ["user2", "user1", "user0"]
    assert page["next"] is None
    assert page["items"][0].keys() == {
        "audit_id", "at", "actor", "action", "target", "address", "details",
    }  # fmt: skip
    assert json.dumps(page["items"][0]["details"]) == '{"n": 1}'
