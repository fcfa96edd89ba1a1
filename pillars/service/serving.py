"""uvicorn inside our task group: our signals, our sockets, errors instead of exits."""

import asyncio
import errno
import logging
import math
import socket
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from uvicorn import Config

from pillars.errors import ConfigurationError, PillarsError, StartupFailed
from pillars.registry import place_of_error
from pillars.service.farewell import ASGIApp, Farewell, Message, Receive, Scope, Send

UVICORN = Path(uvicorn.__file__).parent
TICK = 1.0  # seconds; uvicorn renews the Date header by it
LINGER = (
    5.0  # seconds for a peer to take the rest of what it was sent, once its connection is closed
)
BACKLOG = 2048
ABSENT = {
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}  # localhost has an IPv6 name, a container often no IPv6
EXIT_MARGIN = timedelta(seconds=1)  # an app's shutdown that takes longer is cut off


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    stopping: anyio.Event,
    started: Callable[[str], None],
    grace: timedelta,
    pause: timedelta = timedelta(0),
    setting: str = "PORT",
) -> None:
    """Serve until `stopping` is set, then return; tells `started` the URL once connections are accepted.

    From `stopping` on it goes on accepting for `pause`, so that a load balancer sees readiness fail before it meets a closed
    port; requests under way then have `grace`, event streams end at once. A cancellation closes everything. Raises
    `ConfigurationError` where the address cannot be had (`setting` names the port's), `StartupFailed` where the app's lifespan
    says so.
    """
    sockets = await bind(host, port, setting=setting)
    startup = _Startup(Farewell(app, stopping))
    server = _Server(
        _config(startup, grace),
        stopping=stopping,
        pause=pause,
        started=lambda: started(url(sockets[0])),
    )
    failure: PillarsError | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_end_late, group.cancel_scope, stopping, pause + grace + EXIT_MARGIN)
            failure = await _served(server, sockets, startup, setting)
            group.cancel_scope.cancel()
    finally:
        server.abandon()
        for each in sockets:
            each.close()
    if failure is not None:  # raised out here, since a task group would wrap it
        raise failure


async def bind(host: str, port: int, *, setting: str = "PORT") -> list[socket.socket]:
    """Sockets bound to every address of `host`, not yet listening: until the app has started, nobody shall wait on us."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, _, protocol, _, address in dict.fromkeys(await _addresses(host, port)):
            try:
                sockets.append(_bound(family, protocol, address))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
        if not sockets and absent is not None:
            raise absent
    except OSError as error:
        for each in sockets:
            each.close()
        raise _unavailable(error, host, port, setting) from None
    return sockets


async def require_port(host: str, port: int, *, setting: str = "PORT") -> None:
    """Raise `ConfigurationError` where nobody could serve there now; opens nothing."""
    for each in await bind(host, port, setting=setting):
        each.close()


def url(bound: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _addresses(host: str, port: int) -> list[Any]:
    try:
        found = await anyio.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, str(error)) from None
    return list(found)


def _bound(family: int, protocol: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        # Or a restart would find its port in TIME_WAIT.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _unavailable(error: OSError, host: str, port: int, setting: str) -> ConfigurationError:
    said = f"cannot listen on {host} port {port}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        said = f"port {port} is in use; set {setting} or stop the other process"
    elif error.errno == errno.EACCES:
        said = f"port {port} is not ours to open; set {setting} to 1024 or more"
    elif error.errno in ABSENT:
        name = setting.replace("PORT", "HOST")
        said = f'{name}: expected an address of this machine, got "{host}"'
    return ConfigurationError(said)


def _config(app: ASGIApp, grace: timedelta) -> Config:
    return Config(
        app,
        interface="asgi3",
        loop="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, math.ceil(grace.total_seconds())),
    )


async def _served(
    server: "_Server", sockets: Sequence[socket.socket], startup: "_Startup", setting: str
) -> PillarsError | None:
    """Serve to the end; returns why it could not begin."""
    try:
        await server.serve(list(sockets))
    except SystemExit:  # uvicorn's only word for a start-up that failed
        return StartupFailed(f"the web application did not start: {startup.failure}")
    except OSError as error:  # bound by two, the port goes to whoever listens first
        if server.started:
            raise
        host, port = sockets[0].getsockname()[:2]
        return _unavailable(error, host, port, setting)
    return None


async def _end_late(scope: anyio.CancelScope, stopping: anyio.Event, after: timedelta) -> None:
    await stopping.wait()
    await anyio.sleep(after.total_seconds())
    scope.cancel()


class _Startup:
    """Keeps what the app says when its start-up fails, and where in its code that is where it raises too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._said = "its lifespan said so without a reason"
        self._place: str | None = None

    @property
    def failure(self) -> str:
        return f"{self._said} ({self._place})" if self._place else self._said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and message.get("message"):
                self._said = str(message["message"]).strip().rpartition("\n")[2]
            await send(message)

        try:
            await self._app(scope, receive, heard)
        except Exception as error:
            self._place = place_of_error(error)
            raise


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, told to stop by an event."""

    def __init__(
        self,
        config: Config,
        *,
        stopping: anyio.Event,
        pause: timedelta,
        started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._pause = pause
        self._told = started
        self._closing: dict[asyncio.Transport, float] = {}
        """Connections that are being closed, and since when."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with _unsaid():
            await super().startup(sockets)
        self._told()

    async def main_loop(self) -> None:
        while not self._stopping.is_set():
            await self.on_tick(0)
            self._let_go()
            with anyio.move_on_after(TICK):
                await self._stopping.wait()
        await anyio.sleep(self._pause.total_seconds())
        self._let_go()
        self.should_exit = True

    def _let_go(self) -> None:
        """Break off connections that were closed, and whose peer has not taken the rest for a while: they would outlast a shutdown."""
        now = time.monotonic()
        closing = {
            one.transport
            for one in self.server_state.connections
            if one.transport is not None and one.transport.is_closing()
        }
        self._closing = {one: self._closing.get(one, now) for one in closing}
        for one, since in self._closing.items():
            if now - since > LINGER or self._stopping.is_set():
                one.abort()

    def abandon(self) -> None:
        """Close what a cancellation left open; nothing where the shutdown went its way."""
        for server in getattr(self, "servers", ()):
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()


@contextmanager
def _unsaid() -> Generator[None, None, None]:
    """Of a start-up that fails we have a line of our own; uvicorn's are two, and a traceback.

    Many apps log to uvicorn's logger: theirs is said.
    """

    def theirs(record: logging.LogRecord) -> bool:
        return not Path(record.pathname).is_relative_to(UVICORN)

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(theirs)
    try:
        yield
    finally:
        logger.removeFilter(theirs)
