"""An answer in plain ASGI."""

from collections.abc import Mapping
from http import HTTPStatus

from pillars.codec import to_json
from pillars.service.access import Refusal
from pillars.service.farewell import Send

JSON = "application/json"


async def reply(
    send: Send,
    status: int,
    body: bytes,
    *,
    media: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole answer, which nobody shall keep."""
    said = {"content-type": media, "content-length": str(len(body)), "cache-control": "no-store"}
    pairs = [(name.encode(), value.encode()) for name, value in {**said, **(headers or {})}.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, refused: Refusal) -> None:
    """Say why a request may not pass (RFC 9457)."""
    body = to_json(
        {
            "type": "about:blank",
            "title": HTTPStatus(refused.status).phrase,
            "status": refused.status,
            "detail": refused.detail,
        }
    )
    media = "application/problem+json"
    await reply(send, refused.status, body, media=media, headers=refused.headers)
