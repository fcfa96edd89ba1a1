"""C9: one server that for some seconds takes no writes, no connections, or has no room left; then every process goes on."""

from collections import Counter
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

import anyio
import asyncpg

from chaos.failover import Failover, Fleet, raged, rest, resumed
from chaos.nodes import Node, nodes, small_disk
from chaos.report import Report
from chaos.server import END_ALL, LOST
from support import ask, until

HARD = 3.0  # seconds that each lasts
ROOM = 400  # megabytes, of which a new database takes some 60
CONNECTIONS = "80"
CHUNK = bytes(1 << 20)


async def squeeze(plan: Failover, folder: Path) -> Report:
    """Three hardships, one after another, while jobs are enqueued and schedules tick."""
    figures: Counter[str] = Counter()
    home = folder / "servers"
    home.mkdir()
    with small_disk(home, ROOM) as is_small:
        async with nodes(folder, max_connections=CONNECTIONS, max_wal_size="64MB") as (one, _):

            async def strike() -> None:
                await rest(plan)
                await one.set("default_transaction_read_only", "on")
                await anyio.sleep(HARD)
                await one.set("default_transaction_read_only", "off")
                await resumed(one, figures)
                await rest(plan)
                figures["connections taken"] = await crowded_out(one)
                await resumed(one, figures)
                if is_small:
                    await rest(plan)
                    await filled(one, home)
                    figures["full disks"] = 1
                    await resumed(one, figures)

            return await raged(Fleet(one.url, folder, plan), strike, one, figures)


async def crowded_out(node: Node) -> int:
    """End every connection and take their places, for a while; returns how many it were."""
    async with AsyncExitStack() as taken:
        count = 0
        with suppress(*LOST):
            await ask(node.url, END_ALL)
        with suppress(*LOST):
            while True:
                connection = await asyncpg.connect(node.url)
                taken.push_async_callback(connection.close)
                count += 1
        await anyio.sleep(HARD)
    return count


async def filled(node: Node, home: Path) -> None:
    """Leave no room for a while. Postgres may refuse, or end all its processes and recover, or end itself."""
    ballast = home / "ballast"
    with closing(ballast.open("wb", buffering=0)) as file, suppress(OSError):
        while True:
            file.write(CHUNK)
    await anyio.sleep(HARD)
    ballast.unlink()
    await until(node.recovered)
