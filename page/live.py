"""What visitors see and do of jobs that run: how far one is, as it goes on; pause, resume, abort; the crawler."""

import json
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

import pillars
from jobs.crawling import crawl
from jobs.exports import export_rows
from page.security import check_same_site

VISITORS_MAY = {one.name: one for one in (export_rows, crawl)}
"""Whose jobs anybody may hold and end: the page has no logins, so it is nobody's but theirs."""

WHO = "a visitor of the page"
FOLLOWED_FOR = "1h"
FINAL = ("completed", "failed", "cancelled", "expired")

JOB = """
select job.job_id, job.name, job.state, job.last_error, (
    select said.body from pillars.job_events said
    where said.job_id = job.job_id and said.kind = 'progress' order by said.event_id desc limit 1) as progress
from pillars.all_jobs job where job.job_id = $1
"""

NEWEST = """
select job_id from pillars.all_jobs where name = $1 order by job_id desc limit 1
"""


async def job(connection: Any, job_id: UUID | None) -> dict[str, Any] | None:
    """A job as the page shows it, with a token that opens its stream to this visitor; None where there is none."""
    row = None if job_id is None else await connection.fetchrow(JOB, job_id)
    if row is None:
        return None
    goes_on = row["state"] not in FINAL
    return {
        **dict(row),
        "progress": json.loads(row["progress"] or "null"),
        "goes_on": goes_on,
        "token": _token(row["job_id"]) if goes_on else None,
    }


async def crawler(connection: Any) -> dict[str, Any] | None:
    """The newest crawl."""
    return await job(connection, await connection.fetchval(NEWEST, crawl.name))


async def post_crawl(request: Request) -> Response:
    """Have the crawler begin; where one is at work already, it goes on."""
    check_same_site(request)
    handle = await crawl.enqueue()
    return _answer(request, "/", {"job_id": handle.job_id}, 201)


async def post_act(request: Request) -> Response:
    """Pause, resume or abort a job that visitors may."""
    check_same_site(request)
    job_id, act = request.path_params["job_id"], request.path_params["act"]
    async with pillars.connection() as connection:
        found = await connection.fetchrow(JOB, job_id)
    if found is None or found["name"] not in VISITORS_MAY:
        raise HTTPException(404, "There is no such job, or it is not for visitors.")
    handle = VISITORS_MAY[found["name"]].handle(job_id)
    match act:
        case "pause":
            done = await handle.pause(by=WHO)
        case "resume":
            done = await handle.resume()
        case "abort":
            done = await handle.cancel(by=WHO)
        case _:
            raise HTTPException(404, "A job can be told to pause, resume or abort.")
    back = request.headers.get("referer", "/")
    return _answer(request, back, {"job_id": str(job_id), "done": done}, 200)


def _answer(request: Request, back: str, body: dict[str, Any], status: int) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(back if back.startswith(str(request.base_url)) else "/", 303)
    return JSONResponse(body, status)


def _token(job_id: UUID) -> str | None:
    """None where no PILLARS_TOKEN is there to sign it: the page then asks from time to time."""
    try:
        return pillars.stream_token(job=job_id, expires_in=FOLLOWED_FOR)
    except pillars.ConfigurationError:
        return None
