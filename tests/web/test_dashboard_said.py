"""The page of a job: what it has said."""

from uuid import UUID

import httpx2
from web.test_api import enqueued, run

from cli.test_show_said import LOG, say

HOSTILE = "<script>alert(1)</script>"


async def page(client: httpx2.AsyncClient, job_id: str) -> str:
    answer = await client.get(f"/dashboard/jobs/{job_id}")
    assert answer.status_code == 200
    return answer.text


async def test_it_shows_progress_metadata_and_the_last_lines(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client)
    await run(db, job_id)
    await say(db, UUID(job_id), "progress", {"done": 1, "total": 4, "message": HOSTILE})
    await say(db, UUID(job_id), "metadata", {"url": HOSTILE, "token": "abcdefgh"})
    for number in range(105):
        await say(db, UUID(job_id), "log", {**LOG, "event": f"line-{number}-"})
    await say(db, UUID(job_id), "log", {**LOG, "event": HOSTILE})
    shown = await page(client, job_id)
    assert '<progress id="progress" max="1" value="0.25"' in shown
    assert "25 % (1 of 4)" in shown
    assert "abcdefgh" not in shown
    assert HOSTILE not in shown
    assert shown.count("&lt;script&gt;") == 3
    assert ("line-5-" in shown, "line-6-" in shown, "line-104-" in shown) == (False, True, True)


async def test_what_was_not_said_is_not_there(client: httpx2.AsyncClient) -> None:
    shown = await page(client, await enqueued(client))
    for one in ("<progress", 'id="log"', 'id="metadata"'):
        assert one not in shown


async def test_without_a_total_there_is_a_count_and_no_bar(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueued(client)
    await say(db, UUID(job_id), "progress", {"done": 12345, "total": None, "message": None})
    shown = await page(client, job_id)
    assert "12,345" in shown
    assert "<progress" not in shown
