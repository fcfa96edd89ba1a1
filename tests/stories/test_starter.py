"""The starter app as its users meet it: files go in over HTTP, a worker does the rest."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import httpx2
import pytest

from jobs import exports, findings, upkeep, uploads
from jobs.upkeep import Digest, digest, prune, pulse
from jobs.uploads import CHUNK, parse
from page import receiving
from page.app import app
from pillars import Discard, Job
from pillars.store.database import Database
from support import ask, asking, running, tell, until, worker_for

JOBS = [
    one
    for module in (uploads, findings, exports, upkeep)
    for one in vars(module).values()
    if isinstance(one, Job)
]
SENT = """
select exists (
    select from pillars.all_jobs
    where name = 'jobs.upkeep.send_digest' and state = 'completed' and result = '"logged"')
"""
HTML = {"accept": "text/html"}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as made:
        yield made


async def send(client: httpx2.AsyncClient, name: str, content: bytes) -> str:
    """Upload a file; returns the upload's address."""
    answer = await client.post("/uploads", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def get(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def analysed(
    client: httpx2.AsyncClient, database: Database, name: str, content: bytes
) -> dict[str, Any]:
    """Upload a file and let a worker finish it."""
    url = await send(client, name, content)

    async def is_over() -> bool:
        return not (await get(client, url))["waiting"]

    async with running(worker_for(database, *JOBS)):
        await until(is_over)
    return await get(client, url)


def orders(count: int) -> bytes:
    """A CSV file with cells that hold commas, quotes and line ends."""
    rows = (
        f'{n},"Smith, ""Zoë""\nBerlin",{n % 7}.50,2024-05-{n % 28 + 1:02}\n' for n in range(count)
    )
    return ("id,customer,amount,day\n" + "".join(rows)).encode()


async def test_a_csv_file_is_parsed_and_every_column_described(
    client: httpx2.AsyncClient, database: Database
) -> None:
    upload = await analysed(client, database, "orders.csv", orders(1000) + b"1000,short\n")
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
    db: str, client: httpx2.AsyncClient, database: Database
) -> None:
    content = orders(60_000)
    upload = await analysed(client, database, "orders.csv", content)
    assert (upload["state"], upload["row_count"]) == ("done", 60_000)
    assert upload["parsed_bytes"] == upload["bytes"] == len(content) > uploads.STRETCH
    async with asking(db) as connection:
        chunks = await connection.fetch("select octet_length(content) as size from upload_chunks")
        ids = await connection.fetch(
            "select cells[1]::integer as id from upload_rows order by number"
        )
    assert {row["size"] for row in chunks} == {CHUNK, len(content) % CHUNK}
    assert [row["id"] for row in ids] == list(range(60_000))


async def test_a_log_in_utf_16_shows_its_levels_hour_by_hour(
    client: httpx2.AsyncClient, database: Database
) -> None:
    lines = [f"2024-05-01 {n // 60:02}:{n % 60:02}:00 INFO größe {n}\n" for n in range(120)]
    lines += ["2024-05-01 01:30:00 ERROR broken\n", "    at some.place\n"]
    content = ("\ufeff" + "".join(lines)).encode("utf-16-be")
    upload = await analysed(client, database, "server.txt", content)
    assert (upload["kind"], upload["encoding"], upload["row_count"]) == ("log", "utf-16-be", 122)
    levels, hours = (one["content"] for one in upload["findings"])
    assert levels == [["INFO", 120], ["ERROR", 1], ["none", 1]]
    assert hours == [["2024-05-01 00:00", 60, 0, 0], ["2024-05-01 01:00", 61, 0, 1]]


async def test_a_text_in_latin_1_is_known_even_if_that_shows_late(
    client: httpx2.AsyncClient, database: Database
) -> None:
    content = b"The same line again.\n" * 60_000 + "Größe zählt\n".encode("latin-1")
    assert len(content) > CHUNK
    upload = await analysed(client, database, "story.txt", content)
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
    client: httpx2.AsyncClient, database: Database, content: bytes, reason: str
) -> None:
    upload = await analysed(client, database, "what.bin", content)
    assert (upload["state"], upload["reason"]) == ("refused", reason)
    page = await client.get(f"/uploads/{upload['upload_id']}", headers=HTML)
    assert reason in page.text


async def test_a_stage_that_dies_before_its_end_leaves_nothing_and_runs_again(
    db: str, client: httpx2.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
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
    upload = await analysed(client, database, "orders.csv", orders(10_000))
    assert sorted(died) == ["_go_on", "_store", "plan"]
    assert (upload["state"], upload["row_count"], len(upload["findings"])) == ("done", 10_000, 4)
    numbers = "select count(*) = 10000 and count(distinct cells[1]) = 10000 from upload_rows"
    assert await ask(db, numbers)


async def test_a_stage_that_runs_twice_or_at_once_counts_once(
    db: str, client: httpx2.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await send(client, "orders.csv", orders(1000))
    upload_id = UUID(url.rpartition("/")[2])
    await tell(db, "delete from pillars.jobs")
    await tell(
        db, "update uploads set state = 'parsing', kind = 'csv', encoding = 'utf-8', header = true"
    )
    monkeypatch.setattr(uploads, "STRETCH", 20_000)
    handles = [await parse.enqueue(upload_id, 0) for _ in range(5)]

    async def is_parsed() -> bool:
        return bool(await ask(db, "select state <> 'parsing' from uploads"))

    async with running(worker_for(database, *JOBS)):
        counts = [await handle.result(timeout="20s") for handle in handles]
        await until(is_parsed)
        assert await (await parse.enqueue(upload_id, 0)).result(timeout="20s") is None
    assert counts.count(None) == 4
    assert (await get(client, url))["row_count"] == 1000
    assert await ask(db, "select count(*) from upload_rows") == 1000


async def test_the_last_of_many_findings_at_once_ends_the_upload(
    client: httpx2.AsyncClient, database: Database
) -> None:
    content = b",".join(b"c%d" % n for n in range(60)) + b"\n" + b",".join([b"7"] * 60) + b"\n"
    upload = await analysed(client, database, "wide.csv", content)
    assert len(upload["findings"]) == findings.MOST_COLUMNS
    assert upload["state"] == "done"


async def test_an_upload_whose_job_failed_says_so_and_a_finished_one_does_not_wait(
    client: httpx2.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_sample: bytes) -> str:
        raise Discard("no disk <b>left</b>")

    monkeypatch.setattr(uploads, "refusal", refuse)
    upload = await analysed(client, database, "orders.csv", orders(10))
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


async def test_an_export_is_xml_with_every_row(
    db: str, client: httpx2.AsyncClient, database: Database
) -> None:
    content = orders(20_000) + b"<b>&amp;,\x01\x02,,\n"
    upload = await analysed(client, database, "a & b.csv", content)
    asked = await client.post("/exports", data={"upload_id": upload["upload_id"]})
    url = asked.json()["url"]
    assert (await client.get(url)).status_code == 404

    async def is_written() -> bool:
        return (await client.get(url)).status_code == 200

    async with running(worker_for(database, *JOBS)):
        await until(is_written)
    answer = await client.get(url)
    assert (
        answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20%26%20b.csv.xml"
    )
    assert int(answer.headers["content-length"]) == len(answer.content) > CHUNK
    assert await ask(db, "select count(*) from export_chunks") == len(answer.content) // CHUNK + 1
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
    client: httpx2.AsyncClient, database: Database
) -> None:
    attack = "<script>alert(1)</script>"
    content = f'{attack},"\'""onload=alert(1)"\n{attack},b\n'.encode()
    upload = await analysed(
        client, database, f'"><img src=x onerror=alert(1)>{attack}.csv', content
    )
    for url in ("/", f"/uploads/{upload['upload_id']}"):
        answer = await client.get(url, headers=HTML)
        assert attack not in answer.text
        assert "<img src=x" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


async def test_the_page_works_without_a_script(
    client: httpx2.AsyncClient, database: Database
) -> None:
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
    db: str, client: httpx2.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    answer = await client.post("/uploads", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert await ask(db, "select count(*) from uploads") == 0


async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    db: str, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "LARGEST", 2 * CHUNK)
    answer = await client.post("/uploads", files={"file": ("a", b"x" * (2 * CHUNK + 1))})
    assert answer.status_code == 413
    assert await ask(db, "select count(*) from uploads") == 0


async def test_other_sites_cannot_post(client: httpx2.AsyncClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    for url in ("/uploads", "/exports"):
        assert (await client.post(url, headers=headers)).status_code == 403


async def test_an_unknown_upload_is_not_found(client: httpx2.AsyncClient) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    assert (await client.get(f"/uploads/{unknown}")).status_code == 404
    assert (await client.get(f"/exports/{unknown}")).status_code == 404
    assert (await client.get("/uploads/1")).status_code == 404


async def test_old_and_abandoned_uploads_are_pruned_with_all_that_is_theirs(
    db: str, client: httpx2.AsyncClient, database: Database
) -> None:
    old = await analysed(client, database, "old.csv", orders(100))
    await send(client, "abandoned.csv", orders(10))
    await send(client, "new.csv", orders(10))
    await tell(
        db,
        "update uploads set created_at = now() - interval '8 days' where upload_id = $1",
        UUID(old["upload_id"]),
    )
    await tell(
        db,
        "update uploads set state = 'receiving', touched_at = now() - interval '2 hours' where name = 'abandoned.csv'",
    )
    async with running(worker_for(database, prune)):
        assert await (await prune.enqueue()).result(timeout="20s") == 2
    assert await ask(db, "select array_agg(name) from uploads") == ["new.csv"]
    assert await ask(db, "select count(*) from upload_rows") == 0
    assert await ask(db, "select count(*) from upload_chunks") == 1


async def test_the_digest_is_made_and_sent_once(
    db: str, client: httpx2.AsyncClient, database: Database
) -> None:
    await analysed(client, database, "orders.csv", orders(100))
    await analysed(client, database, "empty.csv", b"")
    expected = Digest(uploads=2, rows=100, bytes=len(orders(100)), failures=1)
    async with running(worker_for(database, *JOBS)):
        assert await (await digest.enqueue()).result(timeout="20s") == expected
        await until(lambda: ask(db, SENT))
    assert await ask(db, "select count(*) from digests") == 1
    assert "Last digest" in (await client.get("/")).text


async def test_the_page_shows_the_last_pulse(
    db: str, client: httpx2.AsyncClient, database: Database
) -> None:
    assert "no pulse yet" in (await client.get("/")).text
    async with running(worker_for(database, pulse)):
        await pulse.enqueue()
        await until(lambda: ask(db, "select count(*) = 1 from pulses"))
    assert "last pulse" in (await client.get("/")).text
