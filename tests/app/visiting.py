"""What visitors of the page do, for tests of it."""

from typing import Any

import httpx2

import pillars
from pillars.testing import Jobs


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
    client: httpx2.AsyncClient,
    jobs: Jobs,
    name: str,
    content: bytes,
    *,
    with_failures: bool = False,
) -> dict[str, Any]:
    """Upload a file and run its jobs, retries too; returns what the page then says of it."""
    url = await send(client, name, content)
    while await jobs.drain(with_failures=with_failures):
        jobs.move_time("1m")
    return await get(client, url)


async def ask(sql: str, *args: Any) -> Any:
    """The first value of the first row of a query."""
    async with pillars.connection() as connection:
        return await connection.fetchval(sql, *args)


def orders(count: int) -> bytes:
    """A CSV file with cells that hold commas, quotes and line ends."""
    rows = (
        f'{n},"Smith, ""Zoë""\nBerlin",{n % 7}.50,2024-05-{n % 28 + 1:02}\n' for n in range(count)
    )
    return ("id,customer,amount,day\n" + "".join(rows)).encode()
