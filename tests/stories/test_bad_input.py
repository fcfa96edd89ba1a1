"""The catalogue of bad input, B1 to B84: whatever comes in by whatever door is answered in one line, and writes nothing."""

import asyncio
import dataclasses
import datetime as dt
import json
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest

from pillars import crontab, enqueue_many, every, job
from pillars.cron.syncing import sync
from pillars.errors import (
    DefinitionError,
    PayloadError,
    PillarsError,
    UnknownJob,
    UsageError,
)
from pillars.jobs.connected import using
from pillars.jobs.definition import Job
from pillars.registry import Registry
from pillars.service.process import Process
from pillars.settings import load
from pillars.store.database import Database
from pillars.testing.databases import with_database
from pillars.web.pillar import Web
from process.pillar import app
from relaying import relay
from stepping import EXPIRED, define, final, hand, put, put_one, row
from support import ask, counts, move_clock, running, tell, until, worker_for

LATER = {
    "B64": "streams", "B65": "streams",  # Last-Event-ID
}  # fmt: skip
ELSEWHERE = {
    "B17": "270 MB are stopped where 5 MB are, as B16",
    "B56": "tests/store/test_schedules.py: a sync removes what its own code no longer has",
    "B76": "tests/cli/test_doctor.py and the pooler's own: a warning, and it works",
    "B80": "there is no log file: lines go to stderr, and a closed one stops nothing (tests/pure/test_log.py)",
}
LONGEST = 1100  # characters of a message

NUL, SURROGATE = "a\0b", "\ud800"
LOOKALIKE = "m\u0430il"  # with a Cyrillic a
INJECTION = '"; drop table jobs; --'
NAMES: dict[str, str] = {
    "B24": "", "B25": "q" * 101, "B26": "a b", "B27": INJECTION, "B28": LOOKALIKE, "B29": "mail\n",
}  # fmt: skip
RULE = "A-Z a-z 0-9 . _ : / -"


@dataclasses.dataclass
class Point:
    x: int


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("hunter2")

    __str__ = __repr__


@job(name="bad.take", backoff="0s", max_attempts=1)
async def take(value: Any = None, text: str = "", number: float = 0.0) -> Any:
    return value


@job(name="bad.needs")
async def needs(order_id: int) -> None: ...


@job(name="bad.shouts", max_attempts=1)
async def shouts() -> None:
    raise ValueError("start\0\ud800" + "x" * 10_000_000)


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


# --- Python -------------------------------------------------------------------------------------------------

Refused: TypeAlias = Callable[[], Any]
PYTHON: list[tuple[str, Refused, type[PillarsError], str]] = [
    ("B1", lambda: take.enqueue(text=NUL), PayloadError, "args.text: contains NUL (U+0000), which Postgres cannot store"),
    ("B1", lambda: take.configure(context=NUL).enqueue(), UsageError, "context contains NUL"),
    ("B2", lambda: take.enqueue({NUL: 1}), PayloadError, "contains NUL"),
    ("B3", lambda: take.configure(unique_key=NUL).enqueue(), UsageError, "unique_key contains NUL"),
    ("B5", lambda: take.enqueue(text=SURROGATE), PayloadError, "args.text: contains a lone surrogate"),
    ("B6", lambda: take.configure(tags=[SURROGATE]).enqueue(), UsageError, "tags contains a lone surrogate"),
    ("B7", lambda: take.enqueue(number=math.nan), PayloadError, "args.number: NaN and Infinity are not JSON: use None or a text"),
    ("B8", lambda: take.enqueue([math.inf]), PayloadError, "args.value[0]: NaN and Infinity are not JSON"),
    ("B9", lambda: take.enqueue(number=-math.inf), PayloadError, "args.number: NaN and Infinity are not JSON"),
    ("B10", lambda: take.enqueue(number=1e400), PayloadError, "args.number: NaN and Infinity are not JSON"),
    ("B13", lambda: take.enqueue(nested(65)), PayloadError, "is nested over 64 deep"),
    ("B14", lambda: take.enqueue(nested(20_000)), PayloadError, "is nested over 64 deep"),
    ("B15", lambda: take.enqueue(text="x" * 5_000_001), PayloadError, "at most 5,000,000: store it elsewhere and pass a reference"),
    ("B16", lambda: take.enqueue(text="x" * 60_000_000), PayloadError, "at most 5,000,000"),
    ("B16", lambda: enqueue_many(take.call(text="x" * size) for size in (1, 6_000_000)), PayloadError, "at most 5,000,000"),
    ("B19", lambda: take.enqueue(dt.datetime.now(dt.UTC)), PayloadError, "args.value: JSON has no datetime: annotate it as datetime"),
    ("B20", lambda: take.enqueue(Decimal(1)), PayloadError, "args.value: JSON has no Decimal: annotate it as Decimal"),
    ("B20", lambda: take.enqueue(b"x"), PayloadError, "args.value: JSON has no bytes: annotate it as bytes"),
    ("B21", lambda: take.enqueue({1}), PayloadError, "args.value: JSON has no set: annotate it as set"),
    ("B22", lambda: take.enqueue(Point(1)), PayloadError, "args.value: JSON has no Point: annotate it as Point"),
    ("B23", lambda: take.enqueue(Hostile()), PayloadError, "args.value: JSON cannot carry Hostile: pass its id"),
    ("B23", lambda: take.configure(queue=Hostile()), UsageError, "queue: expected 1 to 100"),  # type: ignore[arg-type]
    ("B23", lambda: take.configure(run_in=Hostile()), UsageError, "got Hostile"),  # type: ignore[arg-type]
    *[(number, lambda name=name: take.configure(queue=name).enqueue(), UsageError, RULE) for number, name in NAMES.items()],
    *[(number, lambda name=name: job(queue=name), DefinitionError, RULE) for number, name in NAMES.items()],
    ("B28", lambda: take.configure(queue=LOOKALIKE), UsageError, r'got "m\u0430il"'),
    ("B30", lambda: Registry({take.name: take}, {}).job("bad.tale"), UnknownJob, 'no job named "bad.tale"; did you mean "bad.take"?'),
    ("B32", lambda: needs.enqueue(*()), PayloadError, "(order_id: int): missing order_id"),  # type: ignore[call-arg]
    ("B32", lambda: needs.enqueue(1, 2), PayloadError, "takes at most 1 arguments by position, got 2"),  # type: ignore[call-arg]
    ("B32", lambda: needs.enqueue(order=1), PayloadError, "has no parameter order"),  # type: ignore[call-arg]
    ("B33", lambda: take.configure(priority=2**31), UsageError, "priority: expected a whole number from -2147483648 to 2147483647, got 2147483648"),
    ("B34", lambda: take.configure(priority=1.5), UsageError, "priority: expected a whole number"),  # type: ignore[arg-type]
    ("B35", lambda: take.configure(priority=True), UsageError, "priority: expected a whole number"),
    ("B36", lambda: take.configure(max_attempts=0), UsageError, "max_attempts: expected a whole number from 1 to 1000, got 0"),
    ("B37", lambda: take.configure(max_attempts=-1), UsageError, "got -1"),
    ("B37", lambda: job(max_attempts=10**9), DefinitionError, "got 1000000000"),
    ("B38", lambda: take.configure(timeout=0), UsageError, "timeout: expected more than zero, or None for no limit"),
    ("B39", lambda: take.configure(timeout=-1), UsageError, "timeout: expected a duration from 0s"),
    ("B40", lambda: take.configure(timeout=math.nan), UsageError, "timeout: expected a duration from 0s"),
    ("B41", lambda: take.configure(timeout="5 parsecs"), UsageError, '"250ms", "90s", "5m", "2h", "1d", "1h30m"; got "5 parsecs"'),
    ("B41", lambda: job(backoff=["1s", "5 parsecs"]), DefinitionError, "backoff[1]: expected seconds"),
    ("B42", lambda: take.configure(run_at=dt.datetime(2030, 1, 1)), UsageError, "run_at: expected a datetime with a time zone, got 2030-01-01T00:00:00; add tzinfo=UTC"),  # noqa: DTZ001
    ("B43", lambda: take.configure(run_at=dt.datetime(1, 1, 1, tzinfo=dt.UTC)), UsageError, "run_at: expected a time from 2000 to 2200"),
    ("B44", lambda: take.configure(run_at=dt.datetime(9999, 1, 1, tzinfo=dt.UTC)), UsageError, "run_at: expected a time from 2000 to 2200"),
    ("B46", lambda: take.configure(run_in=10**12), UsageError, "run_in: expected a duration from 0s to 3650d, got 1000000000000"),
    ("B46", lambda: take.configure(expires_in="999999999999d"), UsageError, "expires_in: expected a duration from 0s to 3650d"),
    ("B48", lambda: crontab("* * * *", take), DefinitionError, 'crontab "* * * *": expected 5 fields (minute, hour'),
    ("B49", lambda: crontab("61 * * * *", take), DefinitionError, 'field 1 (minute): expected 0 to 59, a list 1,2, a range 1-5, * or a step */5, got "61"'),
    ("B50", lambda: crontab("0 0 31 2 *", take), DefinitionError, "never comes; no such month has that day"),
    ("B51", lambda: crontab("*/0 * * * *", take), DefinitionError, 'field 1 (minute): expected 0 to 59, a list 1,2, a range 1-5, * or a step */5, got "*/0"'),
    ("B52", lambda: crontab("@fortnightly", take), DefinitionError, "expected five fields or one of @hourly"),
    ("B53", lambda: crontab("0 0 0 1 1 * 2030", take), DefinitionError, 'got 7; seconds are for every("10s", ...)'),
    ("B54", lambda: crontab("@daily", take, tz="Mars/Base"), DefinitionError, 'tz: no time zone "Mars/Base"; the nearest are '),
    ("B57", lambda: every("30s", take, name="a b"), DefinitionError, "schedule name: expected"),
    ("B58", lambda: take.handle("abc"), UsageError, "job id: expected a UUID such as"),
    ("B59", lambda: take.handle("0190-1"), UsageError, "job id: expected a UUID such as"),
    ("B60", lambda: take.handle("../../etc"), UsageError, "job id: expected a UUID such as"),
]  # fmt: skip


def by_row(cases: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Test ids are rows, counted where a row comes twice."""
    seen: dict[str, int] = {}
    named = []
    for case in cases:
        seen[case[0]] = seen.get(case[0], 0) + 1
        again = f"-{seen[case[0]]}" if seen[case[0]] > 1 else ""
        named.append(pytest.param(*case[1:], id=f"{case[0]}{again}"))
    return named


@pytest.fixture
async def nothing_written(db: str) -> AsyncIterator[None]:
    before = await counts(db)
    yield
    assert await counts(db) == before


@pytest.fixture(scope="module")
def untouched(server: str, template: str) -> Iterator[str]:
    """One database for all that is refused, with two names defined: whoever writes to it fails."""
    name = f"test_{uuid4().hex[:12]}"
    url = with_database(server, name)
    asyncio.run(tell(server, f'create database "{name}" template "{template}" strategy file_copy'))
    for defined in ("ok", "bad.take"):
        asyncio.run(define(url, defined))
    yield url
    asyncio.run(tell(server, f'drop database "{name}" with (force)'))


@pytest.fixture
async def unmoved(untouched: str) -> AsyncIterator[Database]:
    """That database, in which every table has as many rows after the test as before."""
    before = await counts(untouched)
    async with using(Database(untouched)) as database:
        yield database
    assert await counts(untouched) == before


def assert_one_line(message: str) -> None:
    assert message
    assert "\n" not in message
    assert len(message) <= LONGEST
    assert "Traceback" not in message
    assert "hunter2" not in message
    assert all(ord(one) >= 32 and one != LOOKALIKE[1] for one in message)


@pytest.mark.parametrize(("call", "error", "said"), by_row(PYTHON))
async def test_in_python(
    unmoved: Database, call: Refused, error: type[PillarsError], said: str
) -> None:
    with pytest.raises(error) as refusal:
        await until_done(call())
    assert_one_line(str(refusal.value))
    assert said in str(refusal.value)


async def until_done(value: object) -> None:
    if isinstance(value, Awaitable):
        await value


# --- SQL ----------------------------------------------------------------------------------------------------

SQL: list[tuple[str, str, str]] = [
    ("B1", r"""'ok', '{"x": "\u0000"}'""", "unsupported Unicode escape sequence"),
    ("B5", r"""'ok', '{"x": "\ud800"}'""", "invalid input syntax for type json"),
    ("B7", """'ok', '{"x": NaN}'""", "invalid input syntax for type json"),
    ("B15", "'ok', jsonb_build_object('x', repeat('y', 5000001))", "payload: expected at most 5000000 bytes, got 5000010; store the bulk elsewhere"),
    ("B18", "'ok', '[1]'", "payload: expected a JSON object of parameter names, got array"),
    ("B18", "'ok', 'null'", "payload: expected a JSON object of parameter names, got null"),
    ("B24", "''", RULE),
    ("B25", f"'{'x' * 5000}'", "job name: expected 1 to 100"),
    ("B26", "'ok', queue => 'a b'", "queue: expected 1 to 100"),
    ("B27", "'ok', queue => '\"; drop table jobs; --'", "queue: expected 1 to 100"),
    ("B28", f"'{LOOKALIKE}'", "job name: expected 1 to 100"),
    ("B29", "e'ok\\nno'", "job name: expected 1 to 100"),
    ("B33", "'ok', priority => 2147483648", "does not exist"),
    ("B36", "'ok', max_attempts => 0", "max_attempts: expected 1 to 1000, got 0"),
    ("B37", "'ok', max_attempts => -1", "max_attempts: expected 1 to 1000, got -1"),
    ("B43", "'ok', run_at => '0001-01-01'", "run_at: expected a time from 2000 to 2200, got 0001-01-01"),
    ("B44", "'ok', run_at => '9999-01-01'", "run_at: expected a time from 2000 to 2200"),
    ("B45", "'ok', run_at => '20000-01-01'", "run_at: expected a time from 2000 to 2200"),
    ("B45", "'ok', run_at => 'infinity'", "run_at: expected a time from 2000 to 2200, got infinity"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), by_row(SQL))
async def test_in_sql(unmoved: Database, arguments: str, said: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await ask(unmoved.address.url, f"select pillars.enqueue({arguments})")
    assert_one_line(refusal.value.args[0])
    assert said in refusal.value.args[0]


BY_HAND: list[tuple[str, str, str]] = [
    ("B84", "attempt = -1", "counter_is_0_to_1000000"),
    ("B84", "attempt = 2147483647", "counter_is_0_to_1000000"),
    ("B84", "crashes = -1", "counter_is_0_to_1000000"),
    ("B84", "crashes = 1000001", "counter_is_0_to_1000000"),
    ("B84", "max_attempts = 1001", "tries_are_1_to_1000"),
    ("B84", "locked_by = gen_random_uuid()", "jobs_held_by_a_token"),
    ("B84", "payload = '[]'", "arguments_are_an_object"),
    ("B84", "run_at = 'infinity'", "moment_is_within_2000_to_2200"),
    ("B84", "timeout = '-1 s'", "length_is_0_to_3650_days"),
    ("B84", "timeout = '200 years'", "length_is_0_to_3650_days"),
    *[("B84", f"{column} = '-infinity'", "moment_is_within_2000_to_2200") for column in ("locked_at", "paused_at", "cancel_requested_at")],
    ("B84", "queue = null", "not-null"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rule"), by_row(BY_HAND))
async def test_a_row_edited_by_hand(db: str, change: str, rule: str) -> None:
    job_id = await put_one(db)
    before = await row(db, job_id)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=rule):
        await tell(db, f"update pillars.jobs set {change}")
    assert await row(db, job_id) == before


OTHERS_BY_HAND: list[tuple[str, str, str]] = [
    ("B84", "definitions set max_crashes = 2147483647", "definitions_max_crashes"),
    ("B84", "definitions set max_crashes = 0", "definitions_max_crashes"),
    ("B84", "definitions set max_attempts = 1001", "definitions_max_attempts"),
    ("B84", "definitions set timeout = '200 years'", "definitions_timeout"),
    ("B84", "definitions set timeout = '-1 s'", "definitions_timeout"),
    ("B84", "schedules set timeout = '200 years'", "schedules_timeout"),
    ("B84", "schedules set expires_in = '200 years'", "schedules_expires_in"),
    ("B84", "schedules set paused_at = 'infinity'", "moment_is_within_2000_to_2200"),
    ("B84", "queues set paused_at = 'infinity'", "moment_is_within_2000_to_2200"),
    ("B84", "schedules set jitter = '200 years'", "schedules_jitter"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rule"), by_row(OTHERS_BY_HAND))
async def test_a_definition_or_a_schedule_edited_by_hand(
    db: str, database: Database, change: str, rule: str
) -> None:
    await define(db)
    await sync(database, [every("1h", take.call(), name="hourly")], deployment="shop")
    await tell(db, "insert into pillars.queues (name) values ('mail')")
    with pytest.raises(asyncpg.CheckViolationError, match=rule):
        await tell(db, f"update pillars.{change}")


async def test_b84_a_row_at_every_bound_holds_up_no_claim_and_no_rescue(db: str) -> None:
    await define(db, max_crashes=1000)
    dying, old, plain = await put(db, 3)
    edits = {
        dying: "attempt = 1000000, crashes = 1000000, timeout = '3650 days', max_attempts = 1000, priority = 2147483647",
        old: "crashes = 998, priority = -2147483648, run_at = '2000-01-01', expires_at = '2200-01-01'",
    }
    for job_id, columns in edits.items():
        await tell(db, f"update pillars.jobs set {columns} where job_id = $1", job_id)
    async with hand(db) as worker:
        taken = {one.job_id: one.attempt for one in await worker.take()}
        assert taken == {dying: 1_000_000, old: 1, plain: 1}
        await move_clock(db, EXPIRED)
        swept = await worker.sweep()
    assert (swept.rescued, swept.failed) == (2, 1)
    assert (await final(db, dying))["crashes"] == 1_000_001
    assert (await row(db, old))["crashes"] == 999
    waits = await ask(db, "select run_at - pillars.now() from pillars.jobs where job_id = $1", old)
    assert dt.timedelta(seconds=60) <= waits <= dt.timedelta(seconds=120)


# --- HTTP ---------------------------------------------------------------------------------------------------


def body(payload: str = "{}", **fields: object) -> bytes:
    said = {"name": "ok", **fields}
    return f'{json.dumps(said)[:-1]}, "payload": {payload}}}'.encode()


ENQUEUES: list[tuple[str, bytes, int, str]] = [
    ("B1", body(r'{"title": "\u0000"}'), 400, "payload.title: contains NUL (U+0000), which Postgres cannot store"),
    ("B2", body(r'{"\u0000": 1}'), 400, "contains NUL"),
    ("B3", body(unique_key=NUL), 400, "unique_key: contains NUL"),
    ("B5", body(r'{"x": "\ud800"}'), 400, "payload.x: contains a lone surrogate"),
    ("B6", body('{"x": "?"}').replace(b"?", b"\xed\xa0\x80"), 400, "the body: expected JSON in UTF-8"),
    ("B7", body('{"x": NaN}'), 400, "NaN is not JSON; use null or a text"),
    ("B8", body('{"x": Infinity}'), 400, "Infinity is not JSON; use null or a text"),
    ("B9", body('{"x": -Infinity}'), 400, "-Infinity is not JSON; use null or a text"),
    ("B10", body('{"x": 1e400}'), 400, "a number is out of the range of a double"),
    ("B12", body('{"x": 1, "x": 2}'), 400, "a key stands twice in one object"),
    ("B12", b'{"name": "ok", "name": "other"}', 400, "a key stands twice in one object"),
    ("B13", body(json.dumps({"x": nested(64)})), 400, "is nested over 64 deep"),
    ("B14", body('{"x": ' + "[" * 20_000 + "]" * 20_000 + "}"), 400, "is nested over 64 deep"),
    ("B15", body(json.dumps({"x": "y" * 5_000_001})), 413, "expected at most 5,000,000 bytes; store the bulk elsewhere"),
    ("B16", body(json.dumps({"x": "y" * 60_000_000})), 413, "expected at most 5,000,000 bytes"),
    ("B18", body("[]"), 400, "payload: expected an object of parameter names"),
    ("B18", body('"x"'), 400, "payload: expected an object of parameter names"),
    ("B18", body("null"), 400, "payload: expected an object of parameter names"),
    *[(number, body(queue=name), 400, "queue: expected 1 to 100") for number, name in NAMES.items()],
    *[(number, body(name=name), 400, "name: expected 1 to 100") for number, name in NAMES.items()],
    ("B30", body(name="bad.tale"), 404, 'no job named "bad.tale"; did you mean "bad.take"?'),
    ("B33", body(priority=2**31), 400, "priority: expected a whole number from -2147483648"),
    ("B34", body(priority=1.5), 400, "priority"),
    ("B35", body(priority=True), 400, "priority"),
    ("B36", body(max_attempts=0), 400, "max_attempts: expected a whole number from 1 to 1000, got 0"),
    ("B37", body(max_attempts=10**9), 400, "max_attempts: expected a whole number from 1 to 1000, got 1000000000"),
    ("B42", body(run_at="2030-01-01T00:00:00"), 400, "run_at: expected a datetime with a time zone"),
    ("B43", body(run_at="0001-01-01T00:00:00Z"), 400, "run_at: expected a time from 2000 to 2200"),
    ("B44", body(run_at="9999-01-01T00:00:00Z"), 400, "run_at: expected a time from 2000 to 2200"),
    ("B45", body(run_at="20000-01-01T00:00:00Z"), 400, "run_at"),
    ("B45", body(run_at="infinity"), 400, "run_at"),
    ("B66", b"{", 400, "the body: "),
    ("B66", b"", 400, "the body: "),
    ("B66", b"[]", 400, "the body: "),
    ("B66", body().replace(b'"payload"', LOOKALIKE.encode().join((b'"', b'"'))), 400, r"the body: Object contains unknown field `m\u0430il`"),
]  # fmt: skip
PLAIN = {"content-type": "application/json"}
REQUESTS: list[tuple[str, str, dict[str, str], int, str]] = [
    ("B58", "GET /api/jobs/abc", {}, 404, "no job has this id: expected one such as"),
    ("B59", "DELETE /api/jobs/01890a5d-ac96-774b-bcce", {}, 404, "no job has this id"),
    ("B60", "GET /api/jobs/..%2F..%2Fetc", {}, 404, ""),
    ("B60", "POST /api/jobs/%3Cscript%3E/retry", {}, 404, "no job has this id"),
    ("B61", "GET /api/jobs?limit=-1", {}, 400, "limit: expected a whole number from 1 to 200"),
    ("B62", "GET /api/jobs?limit=1000000000", {}, 400, "limit: expected a whole number from 1 to 200"),
    ("B63", "GET /api/jobs?cursor=AZAAAA%00", {}, 400, "cursor: expected the `next` of an earlier page"),
    ("B63", "GET /api/jobs?cursor=" + "A" * 27, {}, 400, "cursor: expected the `next` of an earlier page"),
    ("B66", "POST /api/jobs", {"content-type": "text/plain"}, 415, "expected the header Content-Type: application/json"),
    ("B66", "POST /api/jobs", {**PLAIN, "content-encoding": "gzip"}, 415, "no Content-Encoding"),
]  # fmt: skip


@asynccontextmanager
async def client_of(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    settings = load(flags={"env": "dev"}, environ={}, project=Path(__file__).parent)
    transport = httpx2.ASGITransport(app=Web(Process("web", settings, database), None).asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as one:
        yield one


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(database) as one:
        yield one


@pytest.fixture
async def refusing(unmoved: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client to whom nothing is granted."""
    async with client_of(unmoved) as one:
        yield one


def assert_problem(answer: httpx2.Response, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert_one_line(answer.json()["detail"])
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(("content", "status", "said"), by_row(ENQUEUES))
async def test_in_an_enqueue_by_http(
    refusing: httpx2.AsyncClient, content: bytes, status: int, said: str
) -> None:
    assert_problem(await refusing.post("/api/jobs", content=content, headers=PLAIN), status, said)
    assert (await refusing.get("/api/health/live")).status_code == 200


@pytest.mark.parametrize(("asked", "headers", "status", "said"), by_row(REQUESTS))
async def test_in_other_requests(
    refusing: httpx2.AsyncClient, asked: str, headers: dict[str, str], status: int, said: str
) -> None:
    method, path = asked.split(" ")
    answer = await refusing.request(method, path, headers=headers, content=b"{}")
    assert answer.status_code == status
    assert "etc" not in answer.text
    assert "script" not in answer.text
    if said:
        assert_problem(answer, status, said)


async def test_b67_cancelling_what_has_ended_is_a_conflict(
    client: httpx2.AsyncClient, db: str
) -> None:
    job_id = await put_one(db)
    assert (await client.delete(f"/api/jobs/{job_id}")).status_code == 200
    answer = await client.delete(f"/api/jobs/{job_id}")
    assert_problem(answer, 409, "the job has ended: it is cancelled")
    assert answer.json()["state"] == "cancelled"


async def test_b68_retrying_what_runs_is_a_conflict(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        await worker.take()
        answer = await client.post(f"/api/jobs/{job_id}/retry")
    assert_problem(answer, 409, "a running job cannot be retried")
    assert (await row(db, job_id))["attempt"] == 1


async def test_b69_a_redrive_again_finds_it_done(client: httpx2.AsyncClient, db: str) -> None:
    job_id = await put_one(db)
    await client.delete(f"/api/jobs/{job_id}")
    answers = [await client.post(f"/api/jobs/{job_id}/retry") for _ in range(2)]
    assert [(one.status_code, one.json()["state"]) for one in answers] == [(200, "ready")] * 2
    assert await ask(db, "select count(*) from pillars.jobs") == 1


# --- what is taken ------------------------------------------------------------------------------------------


async def test_b11_a_large_int_comes_back_digit_by_digit(database: Database) -> None:
    async with running(worker_for(database, take)):
        assert await (await take.enqueue(2**70)).result(timeout="20s") == 2**70


async def test_b47_a_long_unique_key_is_hashed(database: Database, db: str) -> None:
    handles = [await take.configure(unique_key="k" * 3000).enqueue() for _ in range(2)]
    assert handles[0].job_id == handles[1].job_id
    assert len(await ask(db, "select unique_key from pillars.jobs")) < 100


def test_b55_an_alias_of_a_time_zone_is_taken() -> None:
    assert crontab("@daily", take, tz="EST5EDT").rule.after(dt.datetime.now(dt.UTC)) is not None


# --- in a worker --------------------------------------------------------------------------------------------


async def failed(database: Database, db: str, job_id: UUID, *jobs: Job[..., Any]) -> str:
    """The error that a job fails with, by a worker that goes on to do another."""
    async with running(worker_for(database, *jobs)):
        await until(
            lambda: ask(
                db, "select count(*) = 1 from pillars.finished_jobs where job_id = $1", job_id
            )
        )
        assert await (await take.enqueue("well")).result(timeout="20s") == "well"
    ended = await final(db, job_id)
    assert ended["state"] == "failed"
    return str(ended["last_error"])


async def test_b4_an_error_that_cannot_be_stored_is_cleaned_and_cut(
    database: Database, db: str
) -> None:
    said = await failed(database, db, UUID((await shouts.enqueue()).job_id), shouts, take)
    assert said.startswith("ValueError: start\ufffd")
    assert len(said.encode()) <= 65_536


POISON: list[tuple[str, str, str]] = [
    ("B10", "'{\"number\": 1e400}'", "args.number: "),
    ("B14", "('{\"value\": ' || repeat('[', 6000) || repeat(']', 6000) || '}')::jsonb", "args"),
    ("B32", "'{\"nope\": 1}'", ".take takes no argument nope; it takes "),
    ("B32", "'{\"text\": 5}'", "args.text: expected str"),
]


@pytest.mark.parametrize(("payload", "said"), by_row(POISON))
async def test_a_row_that_sql_made_and_no_code_can_read_fails_alone(
    database: Database, db: str, payload: str, said: str
) -> None:
    await define(db, "bad.take", max_attempts=1)
    job_id = await ask(db, f"select pillars.enqueue('bad.take', {payload})")
    told = await failed(database, db, UUID(str(job_id)), take)
    assert_one_line(told)
    assert said in told


ODD: dict[str, str] = {
    "deep": """payload = ('{"value": ' || repeat('[', 5000) || repeat(']', 5000) || '}')::jsonb""",
    "deep objects": """payload = ('{"value": ' || repeat('{"a":', 5000) || '1' || repeat('}', 5000) || '}')::jsonb""",
    "huge number": """payload = '{"number": 1e400, "value": -1e130000}'""",
    "wrong types": """payload = '{"number": "x", "text": [null]}'""",
    "a name that is none": r"""payload = '{"": 1, "\u001b[2J": 2, "a b": 3}'""",
    "large": "payload = jsonb_build_object('nope', repeat('x', 3000000))",
    "tags": "tags = '{null, a}'",
    "tags of tags": "tags = '{{a, b}, {c, d}}'",
    "no tags": "tags = '{}'",
    "context": r"context = e'\u001b[2J\n' || repeat('x', 1000000)",
    "error": r"last_error = e'\n\n\u202e' || repeat('x', 1000000)",
    "trace": "trace = repeat('x', 1000000), parent_id = job_id, unique_key = repeat('k', 2000)",
    "bounds": "timeout = '3650 days', crashes = 1000000, attempt = 1000, max_attempts = null, priority = -2147483648",
    "times": "run_at = '2000-01-01', created_at = '2200-01-01'",
    "months": "timeout = '3 mons 2 days'",
}  # fmt: skip


async def test_b84_rows_that_nobody_foresaw_are_shown_and_fail_alone(
    client: httpx2.AsyncClient, database: Database, db: str, tmp_path: Path
) -> None:
    await define(db, "bad.take", max_attempts=1)
    ids = await put(db, len(ODD), name="bad.take", max_attempts=1)
    for job_id, columns in zip(ids, ODD.values(), strict=True):
        await tell(db, f"update pillars.jobs set {columns} where job_id = $1", job_id)
    neighbours = await put(db, 3, name="bad.take", payload='{"value": "well"}')
    await all_are_shown(client, ids)
    for words in (["list"], ["list", "--json"], *(["show", str(one)] for one in ids)):
        with app(tmp_path, db, "jobs", *words) as run:
            assert await run.ended() == 0, f"{words}: {run.output[-500:]}"
    async with running(worker_for(database, take)):
        await until(lambda: ask(db, "select count(*) = 0 from pillars.jobs"))
    for job_id, (name, columns) in zip(ids, ODD.items(), strict=True):
        ended = await final(db, job_id)
        assert ended["state"] == ("failed" if "payload" in columns else "completed"), name
        if ended["state"] == "failed":
            assert_one_line(ended["last_error"])
    for job_id in neighbours:
        assert (await final(db, job_id))["state"] == "completed"
    await all_are_shown(client, ids)


async def all_are_shown(client: httpx2.AsyncClient, ids: Sequence[UUID]) -> None:
    """In pages and answers, each by itself and all in a list."""
    lists = ["/api/jobs", "/dashboard", "/dashboard/jobs"]
    for path in [*lists, *(f"{path}/{one}" for path in lists[::2] for one in ids)]:
        answer = await client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text[:500]}"
    listed = (await client.get("/api/jobs")).content
    assert all(str(one).encode() in listed for one in ids)


# --- at a start ---------------------------------------------------------------------------------------------

URL = "postgresql://me:hunter2@127.0.0.1:1/none"
STARTS: list[tuple[str, tuple[str, ...], dict[str, str], int, str]] = [
    *[(number, ("worker", "-q", name), {}, 2, "flag --queues: ") for number, name in NAMES.items() if name.strip() not in {"", "mail"}],
    ("B26", ("worker", "-q", "mail:x"), {}, 2, '"mail:x" can be read in two ways: write "mail:x:"'),
    ("B39", ("worker", "--drain", "-1"), {}, 2, "flag --drain: expected seconds"),
    ("B41", ("worker", "--drain", "5 parsecs"), {}, 2, 'flag --drain: expected seconds, a timedelta, or words such as "250ms"'),
    ("B70", ("worker",), {"DATABASE_URL": ""}, 2, "DATABASE_URL is not set, and production has no Postgres of its own; set DATABASE_URL="),
    ("B71", ("worker",), {"DATABASE_URL": "mysql://me:hunter2@h/db"}, 2, 'DATABASE_URL: expected postgresql://user:password@host/database, got a URL of "mysql"'),
    ("B71", ("worker",), {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/db?tls"}, 2, "DATABASE_URL: expected what follows ? as name=value, got postgresql://me:***@127.0.0.1:1/db?tls"),
    ("B71", ("worker",), {"DATABASE_URL": "postgresql://me:hunter2@h/db\x1b[2J"}, 2, "DATABASE_URL: expected a URL on one line, got line ends or control characters"),
    ("B71", ("migrate",), {"DATABASE_URL": "hunter2"}, 2, "got a text without ://"),
    ("B73", ("cron",), {"DATABASE_URL": "postgresql://me:hunter2@no.such.host.invalid/db"}, 1, "no connection to postgresql://me:***@no.such.host.invalid/db"),
    ("B73", ("web",), {"DATABASE_URL": URL, "PORT": "0"}, 1, "no connection to postgresql://me:***@127.0.0.1:1/none"),
    ("B81", ("worker",), {"PILLARS_CONCURRENCY": "abc"}, 2, 'PILLARS_CONCURRENCY: expected a whole number from 1 to 10000, got "abc"'),
    ("B81", ("worker", "-c", "0"), {}, 2, 'flag --concurrency: expected a whole number from 1 to 10000, got "0"'),
    ("B81", ("worker",), {"PILLARS_CONCURRENCY": "1000000"}, 2, 'expected a whole number from 1 to 10000, got "1000000"'),
    ("B82", ("worker",), {"PILLARS_LOCK": "30s", "PILLARS_HEARTBEAT": "15s"}, 2, "2 x heartbeat must be less than the lock, or one late beat loses it; got 2 x 15s >= 30s"),
]  # fmt: skip


async def refused(
    folder: Path, dsn: str | None, *words: str, code: int, said: str, **environ: Any
) -> None:
    """A command ends with one line that says this."""
    with app(folder, dsn, *words, **environ) as run:
        assert await run.ended() == code, run.output
        assert said in run.output, run.output
        assert_one_line(run.output.removesuffix("\n"))


@pytest.mark.parametrize(("words", "environ", "code", "said"), by_row(STARTS))
async def test_at_a_start(
    tmp_path: Path, words: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    environ = {"DATABASE_URL": URL, **environ}
    await refused(tmp_path, None, *words, code=code, said=said, **environ)


TWICE: list[tuple[str, str, str, str]] = [
    ("B31", "jobs", "from pillars import job\n\n@job(name='same')\ndef {}(): ...\n", 'two jobs are named "same": one in jobs.one (one), one in jobs.two (two)'),
    ("B57", "crons", "from pillars import every, job\n\n@job\ndef {0}(): ...\n\nbeat_{0} = every('1h', {0}, name='same')\n", 'two schedules are named "same": one in crons.one, one in crons.two'),
]  # fmt: skip


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(("folder", "text", "said"), by_row(TWICE))
async def test_two_of_one_name(db: str, tmp_path: Path, folder: str, text: str, said: str) -> None:
    package = tmp_path / "twice" / folder
    package.mkdir(parents=True)
    contents = {"__init__": "", "one": text.format("one"), "two": text.format("two")}
    for name, content in contents.items():
        (package / f"{name}.py").write_text(content)
    await refused(tmp_path, db, "cron", code=1, said=said, project=package.parent)


async def test_b72_a_wrong_password(server: str, tmp_path: Path) -> None:
    nobody = f"{server.replace('://app@', '://nobody:hunter2@')}"
    await refused(tmp_path, nobody, "worker", code=1, said="authentication failed for user")


async def test_b74_a_database_that_is_not_there(db: str, tmp_path: Path) -> None:
    gone = with_database(db, "gone")
    await refused(tmp_path, gone, "worker", code=1, said='" does not exist')


async def test_b75_a_server_that_is_too_old(db: str, tmp_path: Path) -> None:
    def older(content: bytes) -> bytes:
        head, name, rest = content.partition(b"server_version\0")
        return head + name + b"12" + rest[2:] if name else content

    async with relay(db, older) as way:
        await refused(tmp_path, way, "worker", code=1, said="Postgres 12")
        await refused(tmp_path, way, "migrate", code=1, said="14 or newer")


async def test_b77_a_schema_of_a_newer_release(db: str, tmp_path: Path) -> None:
    await tell(db, "insert into pillars.migrations values ('pillars', 99, '0099_later', 'x')")
    said = "the database is newer than this code: it has pillars 0099_later, which this release lacks; deploy the release that has it"
    await refused(tmp_path, db, "worker", code=1, said=said)


async def test_b78_a_schema_of_an_older_release(empty_db: str, tmp_path: Path) -> None:
    await refused(tmp_path, empty_db, "worker", code=1, said="run: app migrate")
    assert await ask(empty_db, "select to_regnamespace('pillars') is null")


async def test_b79_a_port_in_use(db: str, tmp_path: Path, nothing_written: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = f"port {port} is in use; set PORT or stop the other process"
        await refused(tmp_path, db, "web", code=2, said=said, PORT=port, HOST="127.0.0.1")


async def test_b83_an_env_file_as_windows_writes_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    content = "\ufeffPILLARS_POOL=\"7\"\r\nPILLARS_TOKEN='hunter2 #x'\r\nPILLARS_POOLS=1\r\n"
    (project / ".env").write_bytes(content.replace("hunter2 #x", "hunter2#x").encode())
    with app(
        tmp_path, None, "config", project=project, PILLARS_ENV="dev", PILLARS_SQL="sql"
    ) as run:
        assert await run.ended() == 0, run.output
        assert " 7 " in run.output
        assert "warning: PILLARS_POOLS is no setting; did you mean PILLARS_POOL?" in run.output
        assert "hunter2" not in run.output


# --- the whole catalogue ------------------------------------------------------------------------------------


def test_every_row_of_the_catalogue_has_a_test_or_a_reason() -> None:
    tables: tuple[Sequence[tuple[Any, ...]], ...] = (
        PYTHON,
        SQL,
        BY_HAND,
        OTHERS_BY_HAND,
        ENQUEUES,
        REQUESTS,
        POISON,
        STARTS,
        TWICE,
    )
    tested = {case[0] for table in tables for case in table}
    tested |= {name.split("_")[1].upper() for name in globals() if name.startswith("test_b")}
    assert not tested & {*LATER, *ELSEWHERE}
    assert tested | {*LATER, *ELSEWHERE} == {f"B{number}" for number in range(1, 85)}
