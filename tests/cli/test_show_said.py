"""`app jobs show`: what a job has said."""

import json
import re
from uuid import UUID

from cli.said import Run
from cli.test_jobs import add
from support import tell

LOG: dict[str, object] = {
    "level": "info",
    "event": "row.read",
    "fields": {"row": 3, "why": "it\nis"},
    "stream": "log",
}


async def say(db: str, job_id: UUID, kind: str, body: object) -> None:
    await tell(
        db,
        """insert into pillars.job_events (event_id, job_id, attempt, kind, body)
           values (nextval('pillars.job_event_ids'), $1, 1, $2, $3)""",
        job_id, kind, json.dumps(body),
    )  # fmt: skip


async def test_progress_metadata_and_the_last_lines_are_shown(app: Run, db: str) -> None:
    job_id = await add(db, running=True)
    for done in (1, 4200):
        await say(
            db, job_id, "progress", {"done": done, "total": 10_000, "message": "reading\x1b[2J"}
        )
    await say(db, job_id, "metadata", {"file": "orders.csv", "rows": [1, 2], "api_key": "abcdefgh"})
    for number in range(25):
        await say(db, job_id, "log", {**LOG, "event": f"row.{number}"})
    await say(db, job_id, "log", {"stream": "stderr", "line": "from a child"})
    said = await app("jobs", "show", job_id)
    assert "progress    ████████░░░░░░░░░░░░  42 % (4,200 of 10,000)  reading\\x1b[2J\n" in said.out
    assert (
        "\nmetadata\n  file     orders.csv\n  rows     [1,2]\n  api_key  [redacted]\n" in said.out
    )
    shown = said.out.partition("\nlog\n")[2].splitlines()
    assert len(shown) == 19 * 2 + 1
    assert shown[0].endswith("  1  info    row.6 row=3 why=it")
    assert shown[1] == "      is"
    assert shown[-1].endswith("  1  from a child")


async def test_without_a_total_there_is_no_bar(app: Run, db: str) -> None:
    job_id = await add(db)
    await say(db, job_id, "progress", {"done": 7.25, "total": None, "message": None})
    assert re.search("^progress +7.25$", (await app("jobs", "show", job_id)).out, re.MULTILINE)


async def test_json_has_the_newest_progress_and_metadata(app: Run, db: str) -> None:
    job_id = await add(db)
    shown = json.loads((await app("jobs", "show", job_id, "--json")).out)
    assert (shown["progress"], shown["metadata"]) == (None, None)
    await say(db, job_id, "progress", {"done": 1, "total": 2, "message": "half"})
    await say(db, job_id, "metadata", {"a": {"password": "hunter22"}})
    shown = json.loads((await app("jobs", "show", job_id, "--json")).out)
    at = shown["progress"].pop("at")
    assert at.endswith("Z")
    assert shown["progress"] == {"done": 1, "total": 2, "message": "half"}
    assert shown["metadata"] == {"a": {"password": "[redacted]"}}


async def test_of_a_job_that_has_said_nothing_nothing_is_shown(app: Run, db: str) -> None:
    said = await app("jobs", "show", await add(db))
    assert "progress" not in said.out
    assert "metadata" not in said.out
    assert "\nlog\n" not in said.out


async def test_what_a_hand_has_put_there_fails_no_command(app: Run, db: str) -> None:
    job_id = await add(db)
    for kind in ("progress", "metadata", "log"):
        for body in (1, {}, {"done": "x", "fields": 3, "event": None, "line": {}}):
            await say(db, job_id, kind, body)
    await app("jobs", "show", job_id)
    await app("jobs", "show", job_id, "--json")
