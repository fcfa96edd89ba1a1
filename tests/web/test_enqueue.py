import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from pillars import Context, job
from pillars.cli import serving
from pillars.registry import Registry
from pillars.service.process import Process
from pillars.web.pillar import Web
from support import ask

ENQUEUE = "/api/jobs"
Define = Callable[..., Awaitable[None]]


FIELDS = {
    "job_id", "name", "queue", "priority", "state", "payload", "context", "result", "last_error", "attempt", "max_attempts",
    "crashes", "lock_token", "created_at", "started_at", "finished_at", "parent_id", "tags", "trace", "unique_key", "timeout",
    "run_at", "locked_at", "locked_by", "deadline_at",
}  # fmt: skip


async def test_an_enqueue_answers_201_with_the_stored_job(
    client: httpx2.AsyncClient, db: str
) -> None:
    response = await client.post(
        ENQUEUE, json={"name": "mail.send", "payload": {"to": "a@example.com"}}
    )
    job = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/jobs/{job['job_id']}"
    assert job.keys() == FIELDS
    assert (job["state"], job["queue"], job["payload"]) == (
        "ready",
        "default",
        {"to": "a@example.com"},
    )
    assert datetime.fromisoformat(job["created_at"]).utcoffset() == timedelta(0)
    assert (
        await ask(db, "select name from pillars.jobs where job_id = $1", job["job_id"])
        == "mail.send"
    )


async def test_an_enqueue_takes_from_the_definition_what_it_does_not_say(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("mail.send", queue="mail", priority=7, max_attempts=9, tags=["bulk"])
    job = (await client.post(ENQUEUE, json={"name": "mail.send", "priority": 0})).json()
    assert (job["queue"], job["priority"], job["max_attempts"], job["tags"]) == (
        "mail",
        0,
        9,
        ["bulk"],
    )


async def test_all_parameters_of_pillars_enqueue_are_taken(client: httpx2.AsyncClient) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    body = {
        "name": "mail.send", "payload": {}, "queue": "slow", "priority": -3, "run_at": later.isoformat(),
        "max_attempts": 2, "unique_key": "k", "context": "by hand",
    }  # fmt: skip
    job = (await client.post(ENQUEUE, json=body)).json()
    assert {name: job[name] for name in body if name != "run_at"} == {
        n: v for n, v in body.items() if n != "run_at"
    }
    assert datetime.fromisoformat(job["run_at"]) == later
    assert job["state"] == "scheduled"


async def test_a_held_unique_key_answers_200_with_the_job_that_holds_it(
    client: httpx2.AsyncClient, db: str
) -> None:
    body = {"name": "mail.send", "unique_key": "once"}
    first, second = await client.post(ENQUEUE, json=body), await client.post(ENQUEUE, json=body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["job_id"] == second.json()["job_id"]
    assert await ask(db, "select count(*) from pillars.jobs") == 1


async def test_numbers_of_a_payload_come_back_digit_by_digit(client: httpx2.AsyncClient) -> None:
    payload = '{"big": 1180591620717411303424, "fine": 0.1234567890123456789012345}'
    content = f'{{"name": "mail.send", "payload": {payload}}}'
    response = await client.post(
        ENQUEUE, content=content, headers={"content-type": "application/json"}
    )
    assert "1180591620717411303424" in response.text
    assert "0.1234567890123456789012345" in response.text


async def test_an_unknown_name_is_refused_with_the_nearest_once_names_are_defined(
    client: httpx2.AsyncClient, db: str, define: Define
) -> None:
    await define("mail.send_receipt")
    response = await client.post(ENQUEUE, json={"name": "mail.send_reciept"})
    assert response.status_code == 404
    assert 'did you mean "mail.send_receipt"?' in response.json()["detail"]
    assert await ask(db, "select count(*) from pillars.jobs") == 0


def wide(depth: int) -> object:
    found: object = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "the body"),
        ("[]", "the body"),
        ('"mail.send"', "the body"),
        ("{}", "name"),
        ('{"name": "a", "nmae": 1}', "nmae"),
        ('{"name": "a", "name": "b"}', "twice"),
        ('{"name": "a", "payload": {"x": {"y": 1, "y": 2}}}', "twice"),
        ('{"name": 1}', "name"),
        ('{"name": ""}', "name"),
        ('{"name": "a b"}', "name"),
        ('{"name": "a\\u0000"}', "NUL"),
        ('{"name": "a", "queue": "q\\n"}', "queue"),
        ('{"name": "a", "queue": "\\"; drop table jobs"}', "queue"),
        ('{"name": "a", "queue": "m\u0430il"}', "queue"),
        ('{"name": "a", "queue": ""}', "queue"),
        (f'{{"name": "a", "queue": "{"q" * 101}"}}', "queue"),
        ('{"name": "a", "payload": []}', "payload"),
        ('{"name": "a", "payload": "x"}', "payload"),
        ('{"name": "a", "payload": null}', "payload"),
        ('{"name": "a", "payload": {"title": "x\\u0000"}}', "payload.title: contains NUL"),
        ('{"name": "a", "payload": {"x\\u0000": 1}}', "NUL"),
        ('{"name": "a", "payload": {"x": "\\ud800"}}', "surrogate"),
        ('{"name": "a", "payload": {"x": NaN}}', "NaN"),
        ('{"name": "a", "payload": {"x": -Infinity}}', "Infinity"),
        ('{"name": "a", "payload": {"x": 1e400}}', "range"),
        (f'{{"name": "a", "payload": {{"x": {json.dumps(wide(64))}}}}}', "nested over 64"),
        (f'{{"name": "a", "payload": {{"x": {"[" * 20_000}{"]" * 20_000}}}}}', "nested over 64"),
        ('{"name": "a", "priority": true}', "priority"),
        ('{"name": "a", "priority": 1.5}', "priority"),
        ('{"name": "a", "priority": 2147483648}', "priority"),
        ('{"name": "a", "priority": "1"}', "priority"),
        ('{"name": "a", "max_attempts": 0}', "max_attempts"),
        ('{"name": "a", "max_attempts": -1}', "max_attempts"),
        ('{"name": "a", "max_attempts": 1000000000}', "max_attempts"),
        ('{"name": "a", "max_attempts": true}', "max_attempts"),
        ('{"name": "a", "run_at": "2030-01-01T00:00:00"}', "time zone"),
        ('{"name": "a", "run_at": "tomorrow"}', "run_at"),
        ('{"name": "a", "run_at": "infinity"}', "run_at"),
        ('{"name": "a", "run_at": 1700000000}', "run_at"),
        ('{"name": "a", "run_at": "0001-01-01T00:00:00Z"}', "run_at"),
        ('{"name": "a", "run_at": "9999-01-01T00:00:00Z"}', "run_at"),
        ('{"name": "a", "unique_key": ""}', "unique_key"),
        ('{"name": "a", "unique_key": "k\\u0000"}', "NUL"),
        ('{"name": "a", "context": 5}', "context"),
        ('{"name": "a", "context": "\\u0000"}', "NUL"),
        (f'{{"name": "a", "priority": {"1" * 5000}}}', "the body"),
    ],
)  # fmt: skip
async def test_a_wrong_body_is_a_400_that_names_the_field_and_writes_nothing(
    client: httpx2.AsyncClient, db: str, body: str, said: str
) -> None:
    response = await client.post(
        ENQUEUE, content=body.encode(), headers={"content-type": "application/json"}
    )
    problem = response.json()
    assert response.status_code == 400, problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert said in problem["detail"]
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_nesting_of_64_is_taken(client: httpx2.AsyncClient) -> None:
    response = await client.post(ENQUEUE, json={"name": "a", "payload": {"x": wide(63)}})
    assert response.status_code == 201


@pytest.mark.parametrize(
    "content", [b"\xff\xfe{\x00}\x00", b'{"name": "\xff"}', b'\xef\xbb\xbf{"name": "a"}']
)
async def test_a_body_in_another_encoding_is_refused(
    client: httpx2.AsyncClient, content: bytes
) -> None:
    response = await client.post(
        ENQUEUE, content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_a_body_that_is_no_plain_json_is_a_415(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.post(ENQUEUE, content=b'{"name": "a"}', headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (
        415,
        "application/problem+json",
    )


async def test_a_body_over_5_mb_is_a_413_whether_or_not_its_length_was_said(
    client: httpx2.AsyncClient,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name": "a", "payload": {"x": "'
        for _ in range(60):
            yield b"x" * 100_000

    headers = {"content-type": "application/json"}
    for content in (chunks(), b"x" * 5_000_001):
        response = await client.post(ENQUEUE, content=content, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (
            413,
            "application/problem+json",
        )


@dataclass
class Address:
    street: str
    number: int


@job(name="mail.letter")
async def letter(ctx: Context, to: Address, copies: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({}, "payload.to: required, and missing"),
        ({"to": "x"}, "payload.to: expected object, got str"),
        ({"to": {"street": "s", "number": "1"}}, "payload.to.number: expected int, got str"),
        ({"to": {"street": "s"}}, "payload.to.number: required, and missing"),
        (
            {"to": {"street": "s", "number": 1}, "copeis": 2},
            "letter takes no argument copeis; it takes to, copies",
        ),
        (
            {"to": {"street": "s", "number": 1}, "ctx": {}},
            "letter takes no argument ctx; it takes to, copies",
        ),
    ],
)
async def test_arguments_that_do_not_fit_a_job_of_this_app_are_a_400_that_names_the_field(
    process_with: Callable[..., Process],
    client_of: Callable[..., httpx2.AsyncClient],
    db: str,
    payload: object,
    said: str,
) -> None:
    client = client_of(process_with(), None, letter)
    response = await client.post(ENQUEUE, json={"name": "mail.letter", "payload": payload})
    assert (response.status_code, response.headers["content-type"]) == (
        400,
        "application/problem+json",
    )
    assert said in response.json()["detail"]
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_arguments_that_fit_are_stored_as_they_were_sent(
    process_with: Callable[..., Process], client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    client = client_of(process_with(), None, letter)
    payload = {"to": {"street": "s", "number": 1}}
    response = await client.post(ENQUEUE, json={"name": "mail.letter", "payload": payload})
    assert (response.status_code, response.json()["payload"]) == (201, payload)


async def test_a_job_of_another_app_on_this_database_is_taken_with_any_arguments(
    process_with: Callable[..., Process],
    client_of: Callable[..., httpx2.AsyncClient],
    define: Define,
) -> None:
    await define("theirs.job")
    client = client_of(process_with(), None, letter)
    body = {"name": "theirs.job", "payload": {"anything": 1}}
    assert (await client.post(ENQUEUE, json=body)).status_code == 201


async def test_app_web_checks_against_the_jobs_that_it_found(
    process_with: Callable[..., Process],
) -> None:
    found = Registry({letter.name: letter}, {})
    web = serving._pillar(process_with(), found, None)
    assert isinstance(web, Web)
    transport = httpx2.ASGITransport(app=web.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.post(ENQUEUE, json={"name": "mail.letter"})
    assert (response.status_code, response.json()["detail"]) == (
        400,
        "payload.to: required, and missing",
    )
