"""A real `app web` and clients that mean it no good: half-open sockets, endless bodies and headers, odd hosts, paths that climb.

Each is answered or dropped, nothing of a disk is shown that is not served, and others are answered all along.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from process.pillar import ROOT, App, ready_app, told
from support import PATIENCE, ask, until

HALF_OPEN = 200
LINE = b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
POST = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BEGUN = [b"", b"GET /api", LINE, POST + b"Content-Length: 4000000\r\n\r\n{"]
CLIMBS = [
    "../", "..%2f", "..%2F", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..\\", "..%5c", "%5c..%5c", "....//", "..././", "..;/", "./../",
    "%c0%ae%c0%ae/", "%uff0e%uff0e/", "..%00/", "%00../", "//", "/../", "x/../../", "..%0a/", "\u2025/".encode().decode("latin-1"),
]  # fmt: skip
AIMS = {  # how far up from the folder, and what lies there
    "/static/": [(1, "app.py"), (2, "pyproject.toml"), (9, "etc/passwd")],
    "/dashboard/assets/": [
        (0, "vendor.toml"),
        (1, "frame.py"),
        (4, "pyproject.toml"),
        (9, "etc/passwd"),
    ],
}
OF_DISKS = (b"import ", b"[project]", b"root:", b"sha512")


class Door:
    """A web process's address, to be spoken to in bytes."""

    def __init__(self, app: App) -> None:
        (line,) = told(app, "web.ready")
        self.app = app
        self.port = urlsplit(str(line["url"])).port

    async def opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def said(self, content: bytes) -> bytes:
        """All that comes back until the connection is closed; what cannot be sent any more is not."""
        reader, writer = await self.opened()
        with contextlib.suppress(ConnectionError):
            writer.write(content)
            await writer.drain()
        try:
            with anyio.fail_after(PATIENCE), contextlib.suppress(ConnectionError):
                return await reader.read()
            return b""
        finally:
            writer.close()

    async def status(self, content: bytes) -> int | None:
        """The status of the answer; None where the connection was dropped without one."""
        answer = await self.said(content)
        return int(answer.split(b" ", 2)[1]) if answer else None

    async def answers_others(self) -> bool:
        return await self.status(LINE + b"\r\n") == 200


@asynccontextmanager
async def door(tmp_path: Path, db: str, **environ: str) -> AsyncIterator[Door]:
    """This repository's app, so that files of both kinds are served."""
    said = {"PORT": "0", "HOST": "127.0.0.1", **environ}
    async with ready_app(tmp_path, db, "web", project=ROOT, **said) as web:
        yield Door(web)
        assert web.process.poll() is None, web.output


async def test_sockets_that_say_nothing_more_hold_up_nobody(db: str, tmp_path: Path) -> None:
    async with door(tmp_path, db, PILLARS_DRAIN="2s") as web, AsyncExitStack() as stack:
        for number in range(HALF_OPEN):
            _, writer = await web.opened()
            stack.callback(writer.close)
            writer.write(BEGUN[number % len(BEGUN)])
            await writer.drain()
        for _ in range(5):
            assert await web.answers_others()
        assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_a_stop_does_not_wait_for_half_open_sockets(db: str, tmp_path: Path) -> None:
    said = {"PORT": "0", "HOST": "127.0.0.1", "PILLARS_DRAIN": "1s"}
    async with ready_app(tmp_path, db, "web", project=ROOT, **said) as started, AsyncExitStack() as stack:  # fmt: skip
        web = Door(started)
        for begun in BEGUN:
            _, writer = await web.opened()
            stack.callback(writer.close)
            writer.write(begun)
            await writer.drain()
        assert await web.answers_others()
        started.signal(signal.SIGTERM)
        assert await started.ended() == 0, started.output


BODIES: list[tuple[bytes, bytes, int]] = [
    (b"Content-Length: 60000000\r\n", b"x" * 6_000_000, 413),
    (b"Transfer-Encoding: chunked\r\n", (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 100, 413),
    (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", 400),
    (b"Content-Length: -1\r\n", b"{}", 400),
    (b"Content-Length: 99999999999999999999999\r\n", b"x" * 6_000_000, 400),
    (b"Content-Length: 2\r\nContent-Encoding: gzip\r\n", b"{}", 415),
    (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", 400),
    (b"Transfer-Encoding: chunked\r\n", b"zz\r\n", 400),
]  # fmt: skip


async def test_a_body_without_measure_is_refused(db: str, tmp_path: Path) -> None:
    async with door(tmp_path, db) as web:
        for headers, body, status in BODIES:
            # A connection that is closed while the client still sends may take the answer with it.
            assert await web.status(POST + headers + b"\r\n" + body) in {status, None}, headers
            assert await web.answers_others(), headers
        assert await ask(db, "select count(*) from pillars.jobs") == 0


NO_REQUESTS = {
    "a long header": LINE + b"X-Long: " + b"x" * 5_000_000 + b"\r\n\r\n",
    "many headers": LINE + b"X: y\r\n" * 500_000 + b"\r\n",
    "a long path": b"GET /" + b"x" * 5_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "many trailers": LINE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 500_000 + b"\r\n",
    "a header with NUL": LINE + b"X: a\r\n b\r\nX\x00: c\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}  # fmt: skip


async def test_what_is_no_request_is_refused_or_dropped(db: str, tmp_path: Path) -> None:
    async with door(tmp_path, db) as web:
        for name, sent in NO_REQUESTS.items():
            assert await web.status(sent) in {400, 404, 414, 431, None}, name
            assert await web.answers_others(), name
        assert "Traceback" not in web.app.output


HOSTS: list[tuple[list[bytes], int]] = [
    ([b"127.0.0.1"], 200), ([b"localhost"], 200), ([b"LocalHost:80"], 200), ([b"[::1]"], 200), ([b"[::1]:8000"], 200), ([b"127.9.9.9"], 200),
    ([b"127.0.0.1.evil"], 401), ([b"127.evil.com"], 401), ([b"localhost."], 401), ([b"localhost.evil"], 401), ([b"evil.example"], 401),
    ([b"evil.example:80"], 401), ([b"0.0.0.0"], 401), ([b"0x7f000001"], 401), ([b"2130706433"], 401), ([b"127.1"], 401), ([b"[::ffff:127.0.0.1]"], 401),
    ([b"[::]"], 401), ([b"127.0.0.1:x"], 401), ([b"127.0.0.1@evil"], 401), ([b"evil@127.0.0.1"], 401), ([b"127.0.0.1, evil"], 401), ([b""], 401),
    ([b"127.0.0.1", b"127.0.0.1"], 400), ([b"127.0.0.1", b"evil.example"], 400), ([], 400), ([b"127.0.0.1\x00.evil"], 400), ([b"127.0.0.1#"], 401),
]  # fmt: skip
PATHS = ["/api/jobs", "/api/openapi.json", "/metrics", "/dashboard", "/dashboard/jobs"]


async def test_without_a_token_only_who_names_this_machine_is_answered(db: str, tmp_path: Path) -> None:  # fmt: skip
    async with door(tmp_path, db) as web:
        for hosts, status in HOSTS:
            for method, path in [*(("GET", path) for path in PATHS), ("POST", "/api/jobs"), ("HEAD", "/dashboard")]:  # fmt: skip
                head = "".join(f"Host: {host.decode('latin-1')}\r\n" for host in hosts)
                sent = f"{method} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
                found = await web.status(sent.encode("latin-1"))
                expected = {415} if (status, method) == (200, "POST") else {status, 400 if status == 401 else status}  # fmt: skip
                assert found in expected, (hosts, method, path)
        assert await web.status(b"GET /api/jobs HTTP/1.0\r\n\r\n") == 401
        absolute = b"GET http://127.0.0.1/api/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert await web.status(absolute) in {400, 401, 404}


async def test_no_path_climbs_out_of_what_is_served(db: str, tmp_path: Path) -> None:
    wanted = [
        f"{folder}{climb * times}{aim}".encode("latin-1")
        for folder, aims in AIMS.items()
        for climb in CLIMBS
        for times, aim in aims
    ]
    assert len(wanted) > 100
    async with door(tmp_path, db) as web:
        for path in wanted:
            answer = await web.said(LINE.replace(b"/api/jobs", path) + b"\r\n")
            assert answer.split(b" ", 2)[1] in {b"400", b"404", b"405"}, path
            assert not any(one in answer for one in OF_DISKS), path


async def test_a_range_without_measure_brings_the_file_at_most_once(db: str, tmp_path: Path) -> None:  # fmt: skip
    async with door(tmp_path, db) as web:
        page = await web.said(LINE.replace(b"/api/jobs", b"/dashboard") + b"\r\n")
        asset = next(part for part in page.split(b'"') if part.startswith(b"/dashboard/assets/"))
        for path in (asset, b"/static/page.css"):
            whole = await web.said(LINE.replace(b"/api/jobs", path) + b"\r\n")
            for many in (b"0-," * 3000, b"0-0," * 2500, b",".join(b"%d-" % at for at in range(2000))):  # fmt: skip
                sent = LINE.replace(b"/api/jobs", path) + b"Range: bytes=" + many[:-1] + b"\r\n\r\n"
                answer = await web.said(sent)
                assert answer.split(b" ", 2)[1] in {b"200", b"206", b"400", b"416"}, path
                assert len(answer) < 2 * len(whole) + 1000, path
        assert await web.answers_others()


async def test_what_a_proxy_would_say_changes_nothing(db: str, tmp_path: Path) -> None:
    names = ["Forwarded: for=127.0.0.1;host=127.0.0.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: 127.0.0.1", "X-Forwarded-Proto: https",
             "X-Forwarded-Prefix: /evil", "X-Real-IP: 127.0.0.1", "Fly-Client-IP: 127.0.0.1", "X-Original-URL: /api/health", "X-Rewrite-URL: /api/health",
             "X-HTTP-Method-Override: DELETE"]  # fmt: skip
    async with door(tmp_path, db, PILLARS_TOKEN="operate-0123456789") as web:
        for name in names:
            found = await web.said(LINE + name.encode() + b"\r\n\r\n")
            assert found.split(b" ", 2)[1] == b"401", name
            bearing = LINE + b"Authorization: Bearer operate-0123456789\r\n" + name.encode()
            found = await web.said(bearing + b"\r\n\r\n")
            assert found.split(b" ", 2)[1] == b"200", name
            assert b"evil" not in found
            redirected = bearing.replace(b"/api/jobs", b"/dashboard/")
            found = await web.said(redirected + b"\r\n\r\n")
            assert b"location: /dashboard\r\n" in found, name
    await until(lambda: ask(db, "select count(*) = 0 from pillars.jobs"))
