"""Uploads as their senders meet them: files go in over HTTP, jobs do the rest."""

import asyncio
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import httpx2
import pytest

import pillars
from app.visiting import analysed, ask, get, orders, send
from jobs import findings, uploads
from jobs.uploads import CHUNK, parse
from page import receiving
from pillars import Discard
from pillars.testing import Jobs

HTML = {"accept": "text/html"}


async def test_a_csv_file_is_parsed_and_every_column_described(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    upload = await analysed(client, jobs, "orders.csv", orders(1000) + b"1000,short\n")
    assert (upload["state"], upload["kind"], upload["row_count"]) == ("done", "csv", 1001)
    assert upload["columns"] == ["id", "customer", "amount", "day"]
    assert upload["ragged_rows"] == 1
    assert upload["preview"][0]["cells"] == ["0", 'Smith, "Zoë"\nBerlin', "0.50", "2024-05-01"]
    found = {one["label"]: one["content"] for one in upload["findings"]}
    assert found["id"]["type"] == found["amount"]["type"] == "number"
    assert (found["id"]["min"], found["id"]["max"]) == ("0", "1000")
    assert (found["customer"]["type"], found["customer"]["different"]) == ("text", 2)
    assert (found["day"]["type"], found["day"]["filled"]) == ("date", 1000)
    assert found["amount"]["top"][0] == ["0.50", 143]


async def test_a_file_of_many_chunks_and_stretches_comes_out_whole(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    content = orders(60_000)
    upload = await analysed(client, jobs, "orders.csv", content)
    assert (upload["state"], upload["row_count"]) == ("done", 60_000)
    assert upload["parsed_bytes"] == upload["bytes"] == len(content) > uploads.STRETCH
    async with pillars.connection() as connection:
        chunks = await connection.fetch("select octet_length(content) as size from upload_chunks")
        ids = await connection.fetch(
            "select cells[1]::integer as id from upload_rows order by number"
        )
    assert {row["size"] for row in chunks} == {CHUNK, len(content) % CHUNK}
    assert [row["id"] for row in ids] == list(range(60_000))


async def test_a_log_in_utf_16_shows_its_levels_hour_by_hour(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    lines = [f"2024-05-01 {n // 60:02}:{n % 60:02}:00 INFO größe {n}\n" for n in range(120)]
    lines += ["2024-05-01 01:30:00 ERROR broken\n", "    at some.place\n"]
    content = ("\ufeff" + "".join(lines)).encode("utf-16-be")
    upload = await analysed(client, jobs, "server.txt", content)
    assert (upload["kind"], upload["encoding"], upload["row_count"]) == ("log", "utf-16-be", 122)
    levels, hours = (one["content"] for one in upload["findings"])
    assert levels == [["INFO", 120], ["ERROR", 1], ["none", 1]]
    assert hours == [["2024-05-01 00:00", 60, 0, 0], ["2024-05-01 01:00", 61, 0, 1]]


async def test_a_text_in_latin_1_is_known_even_if_that_shows_late(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    content = b"The same line again.\n" * 60_000 + "Größe zählt\n".encode("latin-1")
    assert len(content) > CHUNK
    upload = await analysed(client, jobs, "story.txt", content)
    assert (upload["kind"], upload["encoding"]) == ("text", "latin-1")
    words, lines = (one["content"] for one in upload["findings"])
    assert words["words"] == 240_002
    assert ["größe", 1] in words["top"]
    assert lines[0] == [1, 20, "The same line again."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "It is empty: there is nothing to read."),
        (b"\x7fELF\x02\x01\x01\0\0", "It is a program."),
        (
            "\ufeffhalf a letter".encode("utf-16-le") + b"x",
            "It is damaged: it begins as UTF-16 and does not go on so.",
        ),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_kindly(
    client: httpx2.AsyncClient, jobs: Jobs, content: bytes, reason: str
) -> None:
    upload = await analysed(client, jobs, "what.bin", content)
    assert (upload["state"], upload["reason"]) == ("refused", reason)
    page = await client.get(f"/uploads/{upload['upload_id']}", headers=HTML)
    assert reason in page.text


async def test_a_stage_that_dies_before_its_end_leaves_nothing_and_runs_again(
    client: httpx2.AsyncClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[str] = []

    def dying_once(name: str, module: object) -> None:
        real = getattr(module, name)

        async def dying(*args: Any, **kwargs: Any) -> None:
            await real(*args, **kwargs)
            if name not in died:
                died.append(name)
                raise RuntimeError(f"killed after {name}")

        monkeypatch.setattr(module, name, dying)

    for stage in ("_go_on", "_store", "plan"):
        dying_once(stage, uploads)
    monkeypatch.setattr(uploads, "STRETCH", 100_000)
    upload = await analysed(client, jobs, "orders.csv", orders(10_000), with_failures=True)
    assert sorted(died) == ["_go_on", "_store", "plan"]
    assert (upload["state"], upload["row_count"], len(upload["findings"])) == ("done", 10_000, 4)
    numbers = "select count(*) = 10000 and count(distinct cells[1]) = 10000 from upload_rows"
    assert await ask(numbers)


async def test_a_stage_that_runs_twice_or_at_once_counts_once(
    client: httpx2.AsyncClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STRETCH", 20_000)
    url = await send(client, "orders.csv", orders(1000))
    upload_id = UUID(url.rpartition("/")[2])
    await jobs.run_one()  # examines it, and has it parsed
    for _ in range(4):
        await parse.enqueue(upload_id, 0)
    jobs.assert_enqueued(parse.call(upload_id, 0), times=5)
    at_once = await asyncio.gather(*(jobs.run_one() for _ in range(5)))
    assert [one.result for one in at_once if one].count(None) == 4
    await jobs.drain()
    assert await jobs.run(parse.call(upload_id, 0)) is None
    assert (await get(client, url))["row_count"] == 1000
    assert await ask("select count(*) from upload_rows") == 1000


async def test_the_last_of_many_findings_at_once_ends_the_upload(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    content = b",".join(b"c%d" % n for n in range(60)) + b"\n" + b",".join([b"7"] * 60) + b"\n"
    url = await send(client, "wide.csv", content)
    while waiting := jobs.enqueued():
        await asyncio.gather(*(jobs.run_one() for _ in waiting))
    upload = await get(client, url)
    assert len(upload["findings"]) == findings.MOST_COLUMNS
    assert upload["state"] == "done"


async def test_an_upload_whose_job_failed_says_so_and_a_finished_one_does_not_wait(
    client: httpx2.AsyncClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_sample: bytes) -> str:
        raise Discard("no disk <b>left</b>")

    monkeypatch.setattr(uploads, "refusal", refuse)
    upload = await analysed(client, jobs, "orders.csv", orders(10), with_failures=True)
    assert upload["state"] == "received"
    assert (upload["problem"]["state"], upload["problem"]["last_error"]) == (
        "failed",
        "no disk <b>left</b>",
    )
    assert (
        "no disk &lt;b&gt;left&lt;/b&gt;"
        in (await client.get(f"/uploads/{upload['upload_id']}", headers=HTML)).text
    )
    assert "stopped" in (await client.get("/")).text


async def test_an_export_is_xml_with_every_row(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    content = orders(20_000) + b"<b>&amp;,\x01\x02,,\n"
    upload = await analysed(client, jobs, "a & b.csv", content)
    asked = await client.post("/exports", data={"upload_id": upload["upload_id"]})
    url = asked.json()["url"]
    assert (await client.get(url)).status_code == 404
    await jobs.drain()
    answer = await client.get(url)
    assert (
        answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20%26%20b.csv.xml"
    )
    assert int(answer.headers["content-length"]) == len(answer.content) > CHUNK
    assert await ask(
        "select chunks = (select count(*) from export_chunks) and chunks > 10 from exports"
    )
    rows = list(ET.fromstring(answer.content))
    assert len(rows) == 20_001
    assert [cell.text for cell in rows[0]] == ["0", 'Smith, "Zoë"\nBerlin', "0.50", "2024-05-01"]
    assert [cell.text for cell in rows[-1]][:2] == ["<b>&amp;", "\ufffd\ufffd"]
    twice = await client.post("/exports", data={"upload_id": upload["upload_id"]})
    assert twice.json()["url"] == url


async def test_nothing_is_exported_before_it_is_parsed(client: httpx2.AsyncClient) -> None:
    url = await send(client, "orders.csv", orders(10))
    answer = await client.post("/exports", data={"upload_id": url.rpartition("/")[2]})
    assert answer.status_code == 409
    assert (await client.post("/exports", data={"upload_id": "1; drop"})).status_code == 400


async def test_names_and_cells_cannot_put_html_into_the_page(
    client: httpx2.AsyncClient, jobs: Jobs
) -> None:
    attack = "<script>alert(1)</script>"
    content = f'{attack},"\'""onload=alert(1)"\n{attack},b\n'.encode()
    upload = await analysed(client, jobs, f'"><img src=x onerror=alert(1)>{attack}.csv', content)
    for url in ("/", f"/uploads/{upload['upload_id']}"):
        answer = await client.get(url, headers=HTML)
        assert attack not in answer.text
        assert "<img src=x" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


async def test_the_page_works_without_a_script(client: httpx2.AsyncClient, jobs: Jobs) -> None:
    assert "Nothing here yet" in (await client.get("/")).text
    answer = await client.post("/uploads", files={"file": ("a.csv", orders(10))}, headers=HTML)
    assert answer.status_code == 303
    page = await client.get(answer.headers["location"], headers=HTML)
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "a.csv" in (await client.get("/")).text
    for file in ("page.css", "page.js", "icon.svg"):
        assert (await client.get(f"/static/{file}")).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ndata',
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"{}", "application/json", 415),
    ],
)
async def test_a_broken_upload_is_refused_and_leaves_nothing(
    client: httpx2.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    answer = await client.post("/uploads", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert await ask("select count(*) from uploads") == 0


async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "LARGEST", 2 * CHUNK)
    answer = await client.post("/uploads", files={"file": ("a", b"x" * (2 * CHUNK + 1))})
    assert answer.status_code == 413
    assert await ask("select count(*) from uploads") == 0


async def test_other_sites_cannot_post(client: httpx2.AsyncClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    for url in ("/uploads", "/exports"):
        assert (await client.post(url, headers=headers)).status_code == 403


async def test_an_unknown_upload_is_not_found(client: httpx2.AsyncClient) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    assert (await client.get(f"/uploads/{unknown}")).status_code == 404
    assert (await client.get(f"/exports/{unknown}")).status_code == 404
    assert (await client.get("/uploads/1")).status_code == 404
