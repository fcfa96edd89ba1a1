"""What crons/ runs: a night goes by, a week, a minute."""

import smtplib
from typing import Any

import httpx2
import pytest

from app.visiting import analysed, ask, orders, send
from jobs.upkeep import Digest, digest, prune, pulse, send_digest
from jobs.uploads import examine
from pillars.testing import Jobs


async def test_every_night_a_digest_of_the_day_is_made_and_sent(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    jobs.move_time("1d")
    jobs.tick()
    jobs.assert_enqueued(digest, times=1)
    await analysed(client, jobs, "orders.csv", orders(100))
    assert "Last digest" in (await client.get("/")).text


async def test_the_digest_counts_what_was_uploaded_and_is_sent_once(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    await analysed(client, jobs, "orders.csv", orders(100))
    await analysed(client, jobs, "empty.csv", b"")
    counted = Digest(uploads=2, rows=100, bytes=len(orders(100)), failures=1)
    assert await jobs.run(digest.call()) == counted
    jobs.assert_enqueued(send_digest.call(counted), times=1)
    [sent] = await jobs.drain()
    assert sent.result == "logged"
    assert await ask("select count(*) from digests") == 1


async def test_the_digest_is_mailed_where_there_is_a_server(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[str] = []

    class Server(smtplib.SMTP):
        def connect(self, *_args: Any, **_kwargs: Any) -> tuple[int, bytes]:
            return 220, b""

        def send_message(self, msg: Any, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            mails.append(f"{msg['To']}: {msg['Subject']}")
            return {}

        def quit(self) -> tuple[int, bytes]:
            return 221, b""

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setenv("SMTP_URL", "smtp://mail.example.com")
    monkeypatch.setenv("DIGEST_TO", "ops@example.com")
    made = Digest(uploads=1200, rows=0, bytes=0, failures=3)
    assert await jobs.run(send_digest.call(made)) == "sent to ops@example.com"
    assert mails == ["ops@example.com: Yesterday: 1,200 uploads, 3 failures"]


async def test_a_week_later_an_upload_is_pruned_with_all_that_is_its_own(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    await analysed(client, jobs, "old.csv", orders(100))
    jobs.move_time("7d")
    await send(client, "new.csv", orders(10))
    jobs.tick()
    jobs.assert_enqueued(prune, times=1)
    pruned = {ran.job: ran.result for ran in await jobs.drain()}
    assert pruned[prune] == 1
    assert await ask("select array_agg(name) from uploads") == ["new.csv"]
    assert await ask("select count(*) from upload_chunks") == 1


async def test_an_upload_whose_sender_went_away_is_pruned_within_two_hours(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    await send(client, "abandoned.csv", orders(10))
    await ask("update uploads set state = 'receiving'")
    jobs.move_time("59m")
    assert await jobs.run(prune.call()) == 0
    jobs.move_time("1h")
    assert await jobs.run(prune.call()) == 1
    jobs.assert_enqueued(examine, times=1)


async def test_the_page_shows_the_last_pulse(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    assert "no pulse yet" in (await client.get("/")).text
    jobs.move_time("1m")
    assert pulse.name in [one.name for one in jobs.tick()]
    await jobs.drain()
    assert "last pulse" in (await client.get("/")).text
