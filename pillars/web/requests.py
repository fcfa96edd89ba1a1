"""One line a request, and none lost: what an application raises is logged and answered."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pillars import log
from pillars.service.tally import Tally

FAILED: tuple[Message, Message] = (
    {
        "type": "http.response.start",
        "status": 500,
        "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")],
    },
    {"type": "http.response.body", "body": b"Internal Server Error"},
)


class Requests:
    """Logs each request at debug level, with its exception as a warning where it raised one."""

    def __init__(self, app: ASGIApp, tally: Tally) -> None:
        self._app = app
        self._tally = tally
        self._log = log.get("pillars.web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status: int | None = None
        ended = False

        async def noted(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                ended = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            self._tell(scope, status or 500, begun, raised=True)
            if status is not None and not ended:
                raise  # half an answer was sent: only the server can break it off
            if status is None:
                for message in FAILED:
                    await send(message)
        else:
            self._tell(scope, status, begun, raised=False)

    def _tell(self, scope: Scope, status: int | None, begun: float, *, raised: bool) -> None:
        self._tally.requests["none" if status is None else str(status)] += 1
        tell = self._log.warning if raised else self._log.debug
        tell(
            log.Event.REQUEST_SERVED,
            method=scope["method"],
            path=scope["path"],  # without the query, which may carry secrets
            status=status,
            duration_ms=round((time.perf_counter() - begun) * 1000, 1),
            exc_info=raised,
        )
