"""What keeps the page safe around everything it shows: strict headers, and no posts from other sites."""

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Scripts and styles are files of ours: an injected one would not run even if escaping had failed.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


class SafeHeaders:
    """Add the headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def check_same_site(request: Request) -> None:
    """Refuse what a browser sends on behalf of another site. Programs such as curl send no such header."""
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise HTTPException(403, "Post from this page, not from another site.")
