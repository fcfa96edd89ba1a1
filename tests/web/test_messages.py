"""POST /api/jobs/{job_id}/messages."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from web.test_api import end, enqueued, run

from support import ask, tell

SENT = "select array_agg(body::text order by message_id) from pillars.job_messages"


def at(job_id: object) -> str:
    return f"/api/jobs/{job_id}/messages"


async def test_a_message_is_stored_as_it_was_sent(client: httpx2.AsyncClient, db: str) -> None:
    waiting, held = await enqueued(client), await enqueued(client)
    await run(db, held)
    for job_id in (waiting, held):
        answer = await client.post(
            at(job_id),
            content='{"data": {"n": 1.10}}',
            headers={"content-type": "application/json"},
        )
        assert (answer.status_code, answer.json()) == (201, {"job_id": job_id, "outcome": "sent"})
    assert await ask(db, SENT) == ['{"n": 1.10}'] * 2
    assert await ask(db, "select min(sent_by) from pillars.job_messages") == "loopback"


async def test_what_takes_no_message_is_a_409_or_404(client: httpx2.AsyncClient, db: str) -> None:
    over, full = await enqueued(client), await enqueued(client)
    await end(db, over, "failed")
    await tell(
        db,
        "insert into pillars.job_messages (job_id, body) select $1, '1' from generate_series(1, 1000)",
        full,
    )
    answer = await client.post(at(over), json={"data": 1})
    assert (answer.status_code, answer.json()["state"]) == (409, "failed")
    answer = await client.post(at(full), json={"data": 1})
    assert (answer.status_code, answer.json()["state"]) == (409, "ready")
    assert "1,000 messages wait for it already" in answer.json()["detail"]
    assert (await client.post(at(uuid4()), json={"data": 1})).status_code == 404


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        ({"content": b"1"}, 415, "Content-Type: application/json"),
        ({"json": 1}, 400, "the body"),
        ({"json": {}}, 400, "data"),
        ({"json": {"data": 1, "to": 2}}, 400, "to"),
        ({"json": {"data": "a\0b"}}, 400, "data: contains NUL"),
        ({"json": {"data": "x" * 65_536}}, 413, "expected at most 65,536 bytes"),
        ({"json": {"data": [1] * 32_000}}, 400, "at most 65536 bytes, got 96000"),
    ],
)
async def test_what_is_no_message_is_refused(
    client: httpx2.AsyncClient, db: str, said: dict[str, Any], status: int, why: str
) -> None:
    answer = await client.post(at(await enqueued(client)), **said)
    assert answer.status_code == status, answer.text
    assert why in answer.json()["detail"]
    assert await ask(db, "select count(*) from pillars.job_messages") == 0
