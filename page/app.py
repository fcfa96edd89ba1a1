"""The page: upload a file, watch its analysis arrive, download it as XML. A plain Starlette app; any ASGI app would do."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

import pillars
from jobs.exports import export_rows
from page import live, queries
from page.receiving import receive
from page.security import SafeHeaders, check_same_site

HERE = Path(__file__).parent

ASK_EXPORT = """
insert into exports (upload_id)
select upload_id from uploads where upload_id = $1 and state = 'done'
on conflict (upload_id) do nothing
returning export_id
"""

EXPORT_JOB = "update exports set job_id = $2 where export_id = $1"

EXPORT_OF = "select export_id from exports where upload_id = $1"

EXPORT = """
select export.bytes, upload.name from exports export join uploads upload using (upload_id)
where export.export_id = $1 and export.finished_at is not null
"""

EXPORT_CHUNK = "select content from export_chunks where export_id = $1 and number = $2"


async def home(request: Request) -> Response:
    """The form and the recent uploads."""
    async with pillars.connection() as connection:
        uploads = await queries.recent(connection)
        signs = await queries.signs_of_life(connection)
        crawler = await live.crawler(connection)
    shown = {"uploads": uploads, "crawler": crawler, **signs}
    return templates.TemplateResponse(request, "home.html", shown)


async def post_upload(request: Request) -> Response:
    """Take a file in; answers at once, the analysis follows."""
    check_same_site(request)
    upload_id = await receive(request)
    return _created(request, f"/uploads/{upload_id}", {"upload_id": upload_id})


async def get_upload(request: Request) -> Response:
    """One upload: a page for browsers, JSON for everything else."""
    async with pillars.connection() as connection:
        found = await queries.upload(connection, request.path_params["upload_id"])
        if found and found["export"] and _wants_html(request):
            found["export"]["job"] = await live.job(connection, found["export"]["job_id"])
    if found is None:
        raise HTTPException(404, "There is no such upload; it may be older than a week.")
    found["waiting"] = queries.is_waiting(found)
    if _wants_html(request):
        return templates.TemplateResponse(request, "upload.html", {"upload": found})
    return _json(found)


async def post_export(request: Request) -> Response:
    """Have an upload's rows written as XML. Asked twice, there is still one export."""
    check_same_site(request)
    async with request.form(max_fields=5) as form:
        upload_id = _uuid(form.get("upload_id"))
    async with pillars.connection() as connection:
        export_id = await connection.fetchval(ASK_EXPORT, upload_id)
        if export_id is not None:
            handle = await export_rows.configure(connection=connection).enqueue(export_id)
            await connection.execute(EXPORT_JOB, export_id, handle.job_id)
        else:
            export_id = await connection.fetchval(EXPORT_OF, upload_id)
    if export_id is None:
        raise HTTPException(409, "There is no such upload, or its analysis is not done yet.")
    body = {"export_id": export_id, "url": f"/exports/{export_id}"}
    return _created(request, f"/uploads/{upload_id}", body)


async def get_export(request: Request) -> Response:
    """Download an export. A connection is held for one chunk at a time, not for as long as a slow client takes."""
    export_id: UUID = request.path_params["export_id"]
    async with pillars.connection() as connection:
        export = await connection.fetchrow(EXPORT, export_id)
    if export is None:
        raise HTTPException(404, "There is no such export, or it is still being written.")
    headers = {
        "content-length": str(export["bytes"]),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(export['name'], safe='')}.xml",
    }
    return StreamingResponse(
        _export_content(export_id), headers=headers, media_type="application/xml"
    )


async def _export_content(export_id: UUID) -> AsyncIterator[bytes]:
    number = 0
    while True:
        async with pillars.connection() as connection:
            content: bytes | None = await connection.fetchval(EXPORT_CHUNK, export_id, number)
        if content is None:
            return
        yield content
        number += 1


async def unavailable(_request: Request, _error: Exception) -> Response:
    """Say that the database does not answer."""
    message = "The database does not answer. Nothing is lost; try again in a moment."
    return PlainTextResponse(message, 503, headers={"retry-after": "5"})


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _created(request: Request, url: str, body: dict[str, Any]) -> Response:
    if _wants_html(request):
        return RedirectResponse(url, 303)
    return _json(body, 201, headers={"location": url})


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, default=_plain, ensure_ascii=False)
    return Response(text, status, headers=headers, media_type="application/json")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _uuid(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise HTTPException(400, "upload_id: expected the id of an upload.") from None


def size(count: int) -> str:
    """A number of bytes for people: 1536 is "1.5 KB"."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "KB")):
        if count >= 1024**power:
            return f"{count / 1024**power:,.1f} {unit}"
    return f"{count:,} bytes"


def ago(moment: datetime) -> str:
    """How long ago something was: "12 s ago". The page's script keeps counting in the same words."""
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


templates = Jinja2Templates(directory=HERE / "templates")  # escapes whatever it prints
templates.env.filters |= {"size": size, "ago": ago, "moment": datetime.fromisoformat}

app = Starlette(
    routes=[
        Route("/", home),
        Route("/uploads", post_upload, methods=["POST"]),
        Route("/uploads/{upload_id:uuid}", get_upload),
        Route("/crawls", live.post_crawl, methods=["POST"]),
        Route("/jobs/{job_id:uuid}/{act}", live.post_act, methods=["POST"]),
        Route("/exports", post_export, methods=["POST"]),
        Route("/exports/{export_id:uuid}", get_export),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ],
    middleware=[Middleware(SafeHeaders)],
    exception_handlers={pillars.DatabaseTrouble: unavailable},
)
