"""`app jobs enqueue`: what is typed becomes a job's arguments."""

import enum
import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.said import Run
from pillars import job
from pillars.cli import enqueueing
from pillars.cli.enqueueing import Asked
from pillars.errors import DatabaseTrouble, PayloadError, Trouble
from pillars.jobs.definition import Job
from pillars.jobs.options import AS_DEFINED
from pillars.store import workers
from support import ask, tell


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Line:
    price: Decimal


@job(unique_key=lambda zip_code, **_: f"zip {zip_code}")
async def ship(
    zip_code: str, count: int = 1, colour: Colour | None = None, line: Line | None = None
) -> None: ...


def called(*pairs: str, payload: str | None = None, to: Job[..., Any] = ship) -> Any:
    """The stored arguments of a typed call."""
    asked = Asked(to.name, enqueueing._payload(payload), enqueueing._texts(pairs), AS_DEFINED)
    return json.loads(enqueueing._call(to, asked).payload, parse_float=Decimal)


async def define(db: str, name: str, **columns: object) -> None:
    row = {"queue": "q", "priority": 7, "max_attempts": 9, "tags": ["t"], **columns}
    await tell(
        db,
        """insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
           values ($1, 'async', $2, $3, $4, 3, '15m', 'full', $5, 'another')""",
        name, *row.values(),
    )  # fmt: skip


async def stored(db: str) -> dict[str, Any]:
    row = await ask(db, "select to_jsonb(job) from pillars.all_jobs job")
    found: dict[str, Any] = json.loads(row)
    return found


# --- arguments ----------------------------------------------------------------------------------------------


def test_a_value_is_json_where_it_reads_as_json_else_text() -> None:
    assert called("zip_code=10115", "count=3") == {"zip_code": "10115", "count": 3}
    assert called('zip_code="10115"') == {"zip_code": "10115"}
    assert called("zip_code=a=b c", "colour=red") == {"zip_code": "a=b c", "colour": "red"}
    assert called("zip_code=", "colour=null") == {"zip_code": "", "colour": None}


def test_numbers_reach_their_type_digit_by_digit() -> None:
    line = called("zip_code=x", 'line={"price": 1.10000000000000000001}')["line"]
    assert Decimal(line["price"]) == Decimal("1.10000000000000000001")


def test_arguments_come_from_both_and_from_files(tmp_path: Path) -> None:
    file = tmp_path / "arguments.json"
    file.write_text('{"count": 2}')
    assert called("zip_code=x", payload=f"@{file}") == {"zip_code": "x", "count": 2}


def test_what_is_computed_of_the_arguments_gets_them_typed() -> None:
    asked = Asked(ship.name, {}, {"zip_code": "10115"}, AS_DEFINED)
    assert enqueueing._call(ship, asked).new_job().unique_key == "zip 10115"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["zip_code=x", "count=many"], "args.count: expected int, got str"),
        (
            ["zip_code=x", "other=1"],
            r"ship takes no argument other; it takes zip_code, count, colour, line$",
        ),
        (["count=1"], "args.zip_code: required, and missing"),
    ],
)
def test_arguments_that_do_not_fit_the_signature_are_refused(pairs: list[str], said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        called(*pairs)


@pytest.mark.parametrize(
    "payload", ["{", "[1]", '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": "\\u0000"}', '{"a": 1e999}', "@/none/such", "[" * 100_000]
)  # fmt: skip
def test_a_payload_that_is_no_object_of_json_is_refused(payload: str) -> None:
    with pytest.raises(PayloadError, match="--payload"):
        enqueueing._payload(payload)


# --- the command --------------------------------------------------------------------------------------------


async def test_a_name_of_another_deployment_is_taken_with_its_defaults(app: Run, db: str) -> None:
    await define(db, "billing.charge")
    said = await app("jobs", "enqueue", "billing.charge", "order=42", "note=hello world")
    assert said.out.strip() == await ask(db, "select job_id::text from pillars.jobs")
    row = await stored(db)
    assert (row["queue"], row["priority"], row["max_attempts"], row["tags"]) == ("q", 7, 9, ["t"])
    assert row["payload"] == {"order": 42, "note": "hello world"}
    assert "enqueued billing.charge on queue q" in said.err


async def test_options_say_otherwise(app: Run, db: str) -> None:
    await define(db, "billing.charge")
    said = await app(
        "jobs", "enqueue", "billing.charge", "--json", "--queue", "slow", "--priority", "-3", "--run-at", "2100-01-01T00:00+01:00",
        "--max-attempts", "2", "--unique-key", "k", "--context", "by hand", "--payload", "-", typed='{"a": 1.50}',
    )  # fmt: skip
    row = said.json
    assert (row["queue"], row["priority"], row["max_attempts"]) == ("slow", -3, 2)
    assert (row["state"], row["run_at"]) == ("scheduled", "2099-12-31T23:00:00Z")
    assert (row["unique_key"], row["context"], row["payload"]) == ("k", "by hand", {"a": 1.5})
    assert '"payload":{"a": 1.50}' in said.out
    again = await app("jobs", "enqueue", "billing.charge", "--unique-key", "k")
    assert again.out.strip() == row["job_id"]
    told = f"not enqueued: {row['job_id']} holds its unique key and is unfinished\n"
    assert again.err.startswith(told)


async def test_run_in_counts_from_now(app: Run, db: str) -> None:
    await define(db, "a")
    await app("jobs", "enqueue", "a", "--run-in", "2h")
    ahead = await ask(db, "select run_at - pillars.now() from pillars.jobs")
    assert timedelta(hours=1, minutes=59) < ahead <= timedelta(hours=2)


async def test_an_unknown_name_is_refused_with_the_nearest(app: Run, db: str) -> None:
    await define(db, "billing.charge")
    said = await app("jobs", "enqueue", "billing.chrage", code=1)
    assert said.err == 'app: no job named "billing.chrage"; did you mean "billing.charge"?\n'
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_the_last_part_of_a_name_finds_it(app: Run, db: str) -> None:
    await define(db, "jobs.upkeep.pulse")
    await define(db, "jobs.upkeep.sweep")
    said = await app("jobs", "enqueue", "plse", code=1)
    assert said.err == 'app: no job named "plse"; did you mean "jobs.upkeep.pulse"?\n'
    await define(db, "jobs.heart.pulse")
    said = await app("jobs", "enqueue", "pulse", code=1)
    assert said.err.endswith('did you mean "jobs.heart.pulse" or "jobs.upkeep.pulse"?\n')


async def test_names_in_an_error_cannot_reach_the_terminal(app: Run, db: str) -> None:
    await define(db, "\x1b[2J\r\nname\u202e")
    said = await app("jobs", "enqueue", "x", code=1)
    assert said.err == 'app: no job named "x"; there are: \\x1b[2J\\r\\nname\\u202e\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run-in", "soon"], "--run-in: expected"),
        (["--run-at", "2027-01-31T09:00"], "--run-at: expected a time with its zone"),
        (["--run-at", "tomorrow"], "--run-at: expected a time such as"),
        (["--run-in", "1h", "--run-at", "2027-01-31T09:00Z"], "got both"),
        (["a=1", "a=2"], 'argument "a" is given twice'),
        (["a=1", "--payload", '{"a": 1}'], 'argument "a" is given twice'),
        (["--wait", "30s"], "expected key=value, got 30s; a time to wait is written --wait=30s"),
        (["--wait=0"], "--wait: expected more than zero"),
        (["--queue", "no spaces"], "--queue: expected"),
        (["a=\udcff"], "argument a: contains a lone surrogate"),
    ],
)
async def test_a_slip_is_one_line_and_enqueues_nothing(
    app: Run, db: str, words: list[str], said: str
) -> None:
    await define(db, "a")
    answer = await app("jobs", "enqueue", "a", *words, code=2)
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_who_waits_too_short_is_told_the_state(app: Run, db: str) -> None:
    await define(db, "a")
    said = await app("jobs", "enqueue", "a", "--wait=50ms", code=1)
    assert "no worker is running" in said.err
    assert "not ended after 50ms" in said.err
    assert "is ready, and goes on" in said.err


async def test_who_enqueues_is_told_what_keeps_the_job_from_running(app: Run, db: str) -> None:
    await define(db, "a", queue="mail")
    said = await app("jobs", "enqueue", "a")
    assert "no worker is running; start one: app worker\n" in said.err
    assert "paused" not in said.err
    await app("queues", "pause", "mail")
    for wait in ([], ["--wait=50ms"]):
        said = await app("jobs", "enqueue", "a", *wait, code=len(wait))
        assert 'queue "mail" is paused; app queues resume mail\n' in said.err
    await app("names", "pause", "a")
    assert 'name "a" is paused; app names resume a\n' in (await app("jobs", "enqueue", "a")).err


async def test_the_id_is_printed_though_nothing_more_can_be_learned(
    app: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_: object) -> None:
        raise DatabaseTrouble(Trouble.LOST, "gone")

    await define(db, "a")
    monkeypatch.setattr(workers, "listed", lost)
    said = await app("jobs", "enqueue", "a")
    assert said.out.strip() == await ask(db, "select job_id::text from pillars.jobs")
