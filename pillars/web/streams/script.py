"""`pillars.js`, for pages of the application: at one address, and asked for again, so that a page and its server agree."""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FILE = Path(__file__).parent / "pillars.js"
MEDIA = "text/javascript; charset=utf-8"
# A page of a release that is a minute old is no trouble; and a browser asks with the tag that it has.
KEPT = "public, max-age=60"


@cache
def _content() -> tuple[bytes, str]:
    content = FILE.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


async def serve(request: Request) -> Response:
    """The module, or 304 to a browser that has it."""
    content, tag = _content()
    headers = {"cache-control": KEPT, "etag": tag, "x-content-type-options": "nosniff"}
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or f"W/{tag}" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=MEDIA)
