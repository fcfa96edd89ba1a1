"""Stream tokens: what they open, and what they do not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from pillars import stream_token
from pillars.errors import ConfigurationError, UsageError
from pillars.jobs.stream_tokens import Grant, opened, signed
from pillars.service.process import Process
from pillars.store.streams import Topics
from saying import speaking
from sse import following, web

TOKEN, VIEW, OTHER = "operate-0123456789", "view-0123456789abc", "another-0123456789"
Make = Callable[..., Process]
Clients = Callable[..., httpx2.AsyncClient]


def token(*, secret: str = TOKEN, lasts: timedelta = timedelta(hours=1), **topics: Any) -> str:
    return signed(secret, Grant(Topics.of(**topics), datetime.now(UTC) + lasts))


@pytest.fixture
def guarded(process_with: Make, client_of: Clients) -> httpx2.AsyncClient:
    return client_of(process_with(token=TOKEN, view_token=VIEW))


async def test_a_token_opens_its_streams_by_header_or_in_the_address(
    process_with: Make, db: str
) -> None:
    async with (
        web(process_with(token=TOKEN)) as url,
        speaking(db, name="a", tags=["red"]) as speaker,
    ):
        await speaker.say(1)
        [job_id] = speaker.job_ids
        one = token(jobs=[job_id])
        ways: list[dict[str, Any]] = [
            {"params": {"token": one}},
            {"headers": {"authorization": f"Bearer {one}"}},
        ]
        for options in ways:
            async with following(f"{url}/api/jobs/{job_id}/stream", **options) as events:
                assert await events.said(1) == [1]
        both = token(names=["a"], tags=["red"])
        for path in ("/api/streams?tag=red", "/api/streams?name=a&tag=red", "/api/tasks/a"):
            sign = "&" if "?" in path else "?"
            async with following(f"{url}{path}{sign}token={both}") as events:
                assert events.response.status_code == 200


async def test_a_token_opens_nothing_else(guarded: httpx2.AsyncClient) -> None:
    job_id = uuid4()
    one = token(jobs=[job_id], tags=["red"])
    for path in (
        f"/api/jobs/{uuid4()}/stream",
        f"/api/streams?job={job_id}&tag=blue",
        f"/api/streams?job={job_id}&name=a",
        "/api/tasks/a",
        f"/api/jobs/{job_id}",
        "/api/jobs",
        "/api/openapi.json",
        "/metrics",
    ):
        for answer in (
            await guarded.get(path, headers={"authorization": f"Bearer {one}"}),
            await guarded.get(f"{path}{'&' if '?' in path else '?'}token={one}"),
        ):
            assert answer.status_code == 403, path
            assert "stream token opens" in answer.json()["detail"]
    for method, path in (("DELETE", f"/api/jobs/{job_id}"), ("POST", "/api/streams/tokens")):
        answer = await guarded.request(method, path, params={"token": one})
        assert answer.status_code == 403
    dashboard = await guarded.get("/dashboard/jobs", params={"token": one})
    assert dashboard.status_code == 401


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (token(secret=OTHER, tags=["red"]), "not signed"),
        (token(tags=["red"], lasts=timedelta(seconds=-1)), "has expired"),
        (token(tags=["red"])[:-2], "not signed"),
        (token(tags=["blue"]).partition(".")[0] + "." + token(tags=["red"]).partition(".")[2], "not signed"),
        ("pst_", "not signed"),
        ("pst_" + "a" * 50_000, "not signed"),
        ("pst_ä.ö", "not signed"),
        (TOKEN, "PILLARS_TOKEN"),
    ],
)  # fmt: skip
async def test_a_token_that_is_none_or_over_opens_nothing(
    guarded: httpx2.AsyncClient, bad: str, why: str
) -> None:
    answer = await guarded.get("/api/streams", params={"tag": "red", "token": bad})
    assert (answer.status_code, why in answer.json()["detail"]) == (401, True)


async def test_tokens_of_operators_and_viewers_open_streams_by_header_alone(
    guarded: httpx2.AsyncClient,
) -> None:
    for said in (TOKEN, VIEW):
        bearer = {"authorization": f"Bearer {said}"}
        answer = await guarded.head("/api/streams?tag=a", headers=bearer)
        assert answer.status_code == 200
        assert (await guarded.head(f"/api/streams?tag=a&token={said}")).status_code == 401


async def test_a_stream_ends_when_its_token_does(process_with: Make, db: str) -> None:
    async with web(process_with(token=TOKEN)) as url, speaking(db) as speaker:
        [job_id] = speaker.job_ids
        short = token(jobs=[job_id], lasts=timedelta(seconds=1))
        path = f"{url}/api/jobs/{job_id}/stream?token={short}"
        async with following(path) as events:
            told = await events.until()
            assert [one for one, _ in told] == ["state", "expired"]
        async with following(path, last_id=events.last_id) as events:
            assert events.response.status_code == 401


async def test_the_api_makes_tokens_for_operators(
    guarded: httpx2.AsyncClient,
) -> None:
    job_id = uuid4()
    body = {"job": [str(job_id)], "tag": ["red"], "expires_in": "15m"}
    viewer = {"authorization": f"Bearer {VIEW}"}
    refused = await guarded.post("/api/streams/tokens", json=body, headers=viewer)
    assert refused.status_code == 403
    operator = {"authorization": f"Bearer {TOKEN}"}
    made = (await guarded.post("/api/streams/tokens", json=body, headers=operator)).json()
    grant = opened(TOKEN, made["token"])
    assert grant is not None
    assert grant.topics == Topics.of(jobs=[job_id], tags=["red"])
    assert grant.expires_at == datetime.fromisoformat(made["expires_at"])
    for wrong in (
        {},
        {"job": ["x"]},
        {"tag": ["a"], "expires_in": "31d"},
        {"tag": ["a"], "expires_in": 0},
        {"tags": ["a"]},
        {"tag": [f"t{number}" for number in range(101)]},
    ):
        answer = await guarded.post("/api/streams/tokens", json=wrong, headers=operator)
        assert answer.status_code == 400, answer.text


async def test_without_a_token_in_production_none_is_made(
    process_with: Make, client_of: Clients
) -> None:
    url = "postgresql://app@127.0.0.1:1/a"
    process = process_with(env="prod", database_url=url, host="127.0.0.1")
    answer = await client_of(process).post("/api/streams/tokens", json={"tag": ["a"]})
    assert (answer.status_code, "PILLARS_TOKEN" in answer.json()["detail"]) == (409, True)


def test_code_makes_tokens_by_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILLARS_TOKEN", TOKEN)
    job_id = uuid4()
    grant = opened(TOKEN, stream_token(job=str(job_id), tag=["a", "b"], expires_in="5m"))
    assert grant is not None
    assert grant.topics == Topics.of(jobs=[UUID(str(job_id))], tags=["a", "b"])
    assert not grant.expired
    assert stream_token(tag="a") != stream_token(tag="a")
    for wrong in ({}, {"job": "x"}, {"name": " "}, {"tag": ""}, {"tag": "a", "expires_in": "-1s"}):
        with pytest.raises(UsageError):
            stream_token(**wrong)
    monkeypatch.delenv("PILLARS_TOKEN")
    monkeypatch.setenv("PILLARS_ENV", "dev")
    assert stream_token(tag="a").startswith("pst_")
    monkeypatch.setenv("PILLARS_ENV", "prod")
    with pytest.raises(ConfigurationError, match="PILLARS_TOKEN"):
        stream_token(tag="a")


async def test_a_token_is_in_no_line_of_the_log(
    process_with: Make, db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with web(process_with(token=TOKEN)) as url, speaking(db) as speaker:
        await speaker.end()
        [job_id] = speaker.job_ids
        for one in (token(jobs=[job_id]), token(secret=OTHER, jobs=[job_id])):
            async with following(f"{url}/api/jobs/{job_id}/stream?token={one}") as events:
                await events.response.aread()
    said = "".join(capsys.readouterr())
    assert said.count("request.served") == 2
    assert "pst_" not in said
