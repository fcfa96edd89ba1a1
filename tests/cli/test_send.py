"""`app jobs send`: a message to one job."""

import json
from pathlib import Path

from cli.said import Run
from cli.test_jobs import GONE, add, end
from support import ask

SENT = "select body::text from pillars.job_messages"


async def test_a_message_is_sent_and_written_down(app: Run, db: str) -> None:
    job_id = await add(db)
    said = await app("jobs", "send", job_id, '{"approved": true, "exactly": 1.10}')
    assert said.out == f"{job_id} sent\n"
    assert await ask(db, SENT) == '{"exactly": 1.10, "approved": true}'
    assert str(await ask(db, "select sent_by from pillars.job_messages")).startswith("cli:")
    assert await ask(db, "select details::text from pillars.audit") == '{"outcome": "sent"}'


async def test_it_may_come_from_a_file_or_stdin(app: Run, db: str, tmp_path: Path) -> None:
    job_id = await add(db)
    (tmp_path / "said.json").write_text('"from a file"')
    await app("jobs", "send", job_id, "@said.json")
    said = await app("jobs", "send", job_id, "-", "--json", typed='"from stdin"')
    assert json.loads(said.out) == {"job_id": str(job_id), "outcome": "sent"}
    found = await ask(
        db, "select array_agg(body::text order by message_id) from pillars.job_messages"
    )
    assert found == ['"from a file"', '"from stdin"']


async def test_what_was_not_sent_fails_the_command(app: Run, db: str) -> None:
    job_id = await end(db)
    said = await app("jobs", "send", job_id, "1", code=1)
    assert said.out == f"{job_id} not sent: it has ended, and takes no message any more\n"
    said = await app("jobs", "send", job_id, "1", "--json", code=1)
    assert json.loads(said.out)["outcome"] == "final"
    said = await app("jobs", "send", GONE, "1", code=1)
    assert "no row is left of job" in said.err
    assert await ask(db, "select count(*) from pillars.audit") == 0


async def test_what_is_no_message_is_misuse(app: Run, db: str) -> None:
    job_id = await add(db)
    for message, why in {
        "hello": "message: expected JSON, such as '\"a text\"'",
        "@nowhere.json": "message: nowhere.json: No such file",
        '"a\\u0000b"': "message: contains NUL",
        '"' + "x" * 70_000 + '"': "message: expected at most 65,536 bytes, got more",
        "[" + "1," * 30_000 + "1]": "message: expected JSON of at most 65536 bytes",
    }.items():
        said = await app("jobs", "send", job_id, message, code=2)
        assert why in said.err
    assert await ask(db, "select count(*) from pillars.job_messages") == 0
