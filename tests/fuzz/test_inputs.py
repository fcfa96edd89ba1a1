"""Readers of what people and programs write, fed with anything: each takes it or says in one line why not, by the error that is documented.

`FUZZ_EXAMPLES=20000` tries more.
"""

import asyncio
import dataclasses
import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis
import psycopg
import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import QueryParams

from pillars import crontab, every, job
from pillars.cli.words import visible
from pillars.codec import PayloadCodec, ValueCodec, from_json
from pillars.durations import LONGEST, duration, words
from pillars.errors import (
    ConfigurationError,
    DatabaseTrouble,
    DefinitionError,
    PayloadError,
    PillarsError,
    UsageError,
)
from pillars.settings import load, read_dotenv
from pillars.settings.convert import database_url
from pillars.settings.specs import ENV, SPECS
from pillars.store.cursors import cursor_after, opened
from pillars.store.pool import Address
from pillars.testing.house import House
from pillars.web import bodies, queries

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
fuzzed = hypothesis.settings(max_examples=EXAMPLES)
SECRET = "hunter2"
NOWHERE = Path("/nonexistent")
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)

anything = st.text(st.characters(), max_size=300)


def of(alphabet: str, size: int = 60) -> st.SearchStrategy[str]:
    """Texts that look much like what is read, and others."""
    return st.text(st.sampled_from(alphabet), max_size=size) | anything


def assert_says_so(error: PillarsError) -> None:
    """An error in one line that any terminal and any log can carry."""
    said = str(error)
    assert said
    assert len(said) < 2000
    assert said.isprintable(), said
    said.encode()


def refused(call: Callable[[], object], error: type[PillarsError]) -> bool:
    """Whether a call is refused, in the words that it owes."""
    try:
        call()
    except error as said:
        assert_says_so(said)
        return True
    return False


# --- durations and rules ------------------------------------------------------------------------------------


@fuzzed
@given(of("0123456789.dhms -+e\u0663"))
def test_a_text_is_a_duration_or_is_refused(text: str) -> None:
    if not refused(lambda: duration(text), UsageError):
        assert dt.timedelta(0) <= duration(text) <= LONGEST
        assert abs(duration(words(duration(text))) - duration(text)) <= dt.timedelta(milliseconds=1)


@job(name="fuzz.idle")
async def idle() -> None: ...


PARTS = st.lists(
    st.sampled_from(["*", "*/5", "*/0", "0", "59", "60", "61", "1-5", "5-1", "1,2", "31", "30", "L", "LW", "MON", "MON#2", "5L", "SUN-TUE", "JAN", "7", "8", "-1", "@daily", "@x"])
    | of("0123456789*/,-#LWMONJA", 12),
    max_size=7,
)  # fmt: skip
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "EST5EDT", "Mars/Base", "../etc/passwd", "/etc/passwd", ""])  # fmt: skip


@fuzzed
@given(PARTS.map(" ".join) | anything, ZONES | anything)
def test_an_expression_is_a_rule_that_comes_or_is_refused(expression: str, zone: str) -> None:
    if not refused(lambda: crontab(expression, idle, tz=zone), DefinitionError):
        tick = crontab(expression, idle, tz=zone).rule.after(NOW)
        assert tick is None or tick > NOW


@fuzzed
@given(st.text(st.characters(), max_size=120))
def test_a_name_of_a_schedule_is_one_or_is_refused(name: str) -> None:
    refused(lambda: every("1h", idle, name=name), DefinitionError)


# --- payloads -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal
    at: dt.datetime | None = None


def takes(  # noqa: PLR0917
    line: Line, count: int, ratio: float = 0.5, tags: list[str] | None = None,
    when: dict[dt.date, UUID] | None = None, raw: bytes = b"", rest: Any = None, pause: dt.timedelta | None = None,
) -> None: ...  # fmt: skip


PAYLOADS = PayloadCodec(takes)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | anything | st.binary(max_size=50)
    | st.datetimes() | st.dates() | st.timedeltas() | st.uuids() | st.decimals() | st.just(Line("a", Decimal(1)))
)  # fmt: skip
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(anything | st.integers(), inner, max_size=5)
        | st.sets(st.integers(), max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
JSON = st.recursive(
    st.sampled_from(
        ["0", "-1", "1.5", "1e400", "-1e999", "1E5", "NaN", "Infinity", "null", "true", '""', '"a"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', "nul", "01", "'"]
    )
    | anything,
    lambda inner: st.lists(inner, max_size=4).map(lambda some: "[" + ",".join(some) + "]")
    | st.lists(
        st.tuples(st.sampled_from(["line", "count", "rest", "sku", "price", "", "\\u0000", "name"]), inner),
        max_size=4,
    ).map(lambda some: "{" + ",".join(f'"{key}":{value}' for key, value in some) + "}"),
    max_leaves=12,
)  # fmt: skip


@fuzzed
@given(DATA, DATA, DATA)
def test_arguments_come_back_as_they_were_or_are_refused(line: Any, count: Any, rest: Any) -> None:
    sent = {"line": line, "count": count, "rest": rest}
    with suppress(PayloadError):
        payload = PAYLOADS.encode((), sent)
        assert repr(PAYLOADS.decode(payload)) == repr(sent)
    refused(lambda: PAYLOADS.encode((), sent), PayloadError)


@fuzzed
@given(JSON | st.binary(max_size=200))
def test_what_is_no_payload_is_refused(content: str | bytes) -> None:
    for read in (PAYLOADS.decode, ValueCodec(Any).decode, ValueCodec(list[Line]).decode, from_json):
        refused(lambda: read(content), PayloadError)  # noqa: B023


@pytest.mark.parametrize("opening", ["[", '{"rest":', '{"line":[', "[[{"])
@pytest.mark.parametrize("depth", [65, 500, 1_000, 20_000])
def test_what_nests_too_deep_to_read_is_refused(opening: str, depth: int) -> None:
    for read in (PAYLOADS.decode, ValueCodec(Any).decode, from_json):
        refused(lambda: read(opening * depth), PayloadError)  # noqa: B023


BODIES = st.fixed_dictionaries(
    {"name": st.sampled_from(['"a"', '"a.b:c/d"', '""', '"a b"', "1", "null"])},
    optional={
        "payload": JSON,
        "queue": JSON | st.just('"q"'),
        "priority": st.sampled_from(["0", "-5", "1.5", "true", "2147483648", "1e3", "9" * 400]) | JSON,
        "run_at": st.sampled_from(
            ['"2030-01-01T00:00:00Z"', '"2030-01-01T00:00:00"', '"0001-01-01T00:00:00+23:59"', '"2199-12-31T23:59:59-23:59"', '"infinity"', "0"]
        ),
        "max_attempts": st.sampled_from(["1", "0", "1000", "1001", "null"]),
        "unique_key": JSON | of("ab\U0001f600", 5000).map(lambda text: '"' + text.replace('"', "") + '"'),
        "context": JSON,
        "name ": JSON,
    },
).map(lambda fields: "{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}")  # fmt: skip


@pytest.fixture(scope="module")
def postgres(server: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(server, autocommit=True) as connection:
        yield connection


@fuzzed
@given(BODIES.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=100))
def test_what_an_enqueue_by_http_lets_pass_postgres_stores(
    postgres: "psycopg.Connection[Any]", content: bytes
) -> None:
    if refused(lambda: bodies.parse(content), UsageError):
        return
    made = bodies.new_job(bodies.parse(content), None)
    stored = postgres.execute(
        "select %s::jsonb, %s::text, %s::text, %s::timestamptz, %s::int",
        [made.payload, made.unique_key, made.context, made.run_at, made.priority],
    ).fetchone()
    assert stored is not None
    assert isinstance(stored[0], dict)


@pytest.fixture(scope="module")
def schema(_pillars_house: House) -> Iterator["psycopg.Connection[Any]"]:
    with _pillars_house.database() as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


@fuzzed
@given(
    of("abzAZ09._:/-", 105).filter(lambda text: "\0" not in text and text.isprintable())
    | st.sampled_from(
        [
            "",
            "-a",
            ".a",
            "a" * 100,
            "a" * 101,
            "a\n",
            " a",
            '"; drop table jobs; --',
            "m\u0430il",
            "a\u0301",
            "K\u212a",
            "\uff41",
            "a\u200b",
        ]
    )
)
def test_python_and_sql_take_the_same_for_a_name(
    schema: "psycopg.Connection[Any]", name: str
) -> None:
    wrong = refused(lambda: idle.configure(queue=name), UsageError)
    expected: AbstractContextManager[object] = (
        pytest.raises(psycopg.errors.InvalidParameterValue) if wrong else nullcontext()
    )
    with expected, schema.transaction(force_rollback=True):
        schema.execute("select pillars.enqueue(%s, queue => %s)", [name, name])
    kept = schema.execute("select count(*) from pillars.jobs").fetchone()
    assert kept == (0,)


# --- cursors and filters ------------------------------------------------------------------------------------


@fuzzed
@given(of("ABCabc019-_=", 30), st.uuids())
def test_a_cursor_is_one_of_ours_or_is_refused(text: str, job_id: UUID) -> None:
    assert opened(cursor_after(job_id)) == job_id
    if not refused(lambda: opened(text), UsageError):
        assert cursor_after(opened(text)) == text


NAMES = st.sampled_from([*queries.FILTERS, "said", "x", ""])


@fuzzed
@given(st.lists(st.tuples(NAMES, of("0123456789-+abc._:/ \0", 20)), max_size=4) | anything)
def test_a_query_is_filters_or_is_refused(given: Any) -> None:
    refused(lambda: queries.wanted(QueryParams(given)), UsageError)


# --- settings -----------------------------------------------------------------------------------------------

SAID = {spec.called: spec for spec in (ENV, *SPECS)}
VALUES = of("0123456789abcdhms.,:/-_ \n\0\ud800", 40) | st.sampled_from(
    ["dev", "prod", "json", "info", "mail:5,default", "mail:x", ":", "::", "a:b:", "/ops/", "jobs", "module:app", "1e9", "~", "~nobody/x"]
)  # fmt: skip


@fuzzed
@given(st.dictionaries(st.sampled_from(sorted(SAID)), VALUES, max_size=4))
def test_whatever_the_environment_says_settings_are_read_or_refused(environ: dict[str, str]) -> None:  # fmt: skip
    refused(lambda: load(environ=environ, project=NOWHERE), ConfigurationError)


@fuzzed
@given(
    st.dictionaries(
        st.sampled_from([spec.name for spec in SAID.values()]),
        VALUES | st.integers() | st.floats() | st.booleans() | st.lists(st.integers() | VALUES, max_size=3)
        | st.dictionaries(VALUES, st.integers() | VALUES, max_size=2) | st.dates(),
        max_size=3,
    )
)  # fmt: skip
def test_whatever_type_a_setting_has_it_is_read_or_refused(flags: dict[str, Any]) -> None:
    refused(lambda: load(environ={}, flags=flags, project=NOWHERE), ConfigurationError)


URLS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["postgresql://", "postgres://", "postgresql+asyncpg://", "mysql://", "postgresql:", "", "://"]),
    st.sampled_from([f"me:{SECRET}@", f"me:a@{SECRET}/x@", f":{SECRET}@", "me@", "", f"me%00:{SECRET}@", f"me:{SECRET}%zz@"]),
    st.sampled_from(["127.0.0.1:1", "[::1]:1", "127.0.0.1:99999", "127.0.0.1:x", "[::1", "127.0.0.1:1,127.0.0.1:2", "", "127.0.0.1:-1", "127.0.0.1:1,"]),
    st.sampled_from(["/db", "", "/", "/%00", "/a/b", "/\u00e4"]),
    st.sampled_from(
        ["", "?sslmode=odd", "?sslmode=require", "?port=x", "?host=/nowhere", "?sslrootcert=/nowhere", "?connect_timeout=x", "?options=-c%20x%3D",
         "?passfile=/nowhere", f"?password={SECRET}", "?target_session_attrs=odd", "?x=1", "?gsslib=odd", "?host=a&port=1,2", "?ssl_min_protocol_version=odd",
         "?servicefile=/nowhere&service=x", "?krbsrvname=x", "?direct_tls=yes", "#x"]
    ),
)  # fmt: skip


@fuzzed
@given(URLS | anything.map(lambda text: f"postgresql://127.0.0.1:1/{text}"))
def test_a_database_url_leads_to_a_server_or_is_refused_without_its_password(url: str) -> None:
    with pytest.raises((ConfigurationError, DatabaseTrouble)) as refusal:
        asyncio.run(connect(database_url(url, "DATABASE_URL")))
    assert_says_so(refusal.value)
    assert SECRET not in str(refusal.value)


async def connect(url: str) -> None:
    await Address(url).connect()


@fuzzed
@given(of("AB=#'\"\\ \t\n\r\0export_$\ufeff", 80))
def test_a_dotenv_is_read_or_its_line_is_named(text: str) -> None:
    if not refused(lambda: read_dotenv(text), ConfigurationError):
        assert all(name.isidentifier() for name in read_dotenv(text))


# --- a terminal ---------------------------------------------------------------------------------------------


@fuzzed
@given(st.text(st.characters(), max_size=100))
def test_no_text_moves_a_cursor(text: str) -> None:
    shown = visible(text)
    assert all(one.isprintable() or one.isspace() for one in shown)
    assert not set(shown) & set("\n\r\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029\x1b\x07\x9b\u202e")
