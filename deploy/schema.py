"""Print the schema that the runtime's migrations make, as `make schema` keeps it in sql/pillars/schema.sql."""

import asyncio
import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import asyncpg

from pillars import embedded
from pillars.store import migrate, statements

NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)?$")


async def apply(url: str) -> None:
    """Run every migration file, without the days that a running system makes."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements.text("ledger/prepare"))
        for migration in migrate.of_runtime():
            await connection.execute(migration.sql)
    finally:
        await connection.close()


def dump() -> str:
    """The schema as pg_dump tells it, without what differs from run to run."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        cluster = embedded.cluster(Path(folder), settings=embedded.TEST_SETTINGS, idle=timedelta(0))
        with embedded.start(cluster) as server:
            asyncio.run(apply(server.url))
            program = str(embedded.tool(cluster, "pg_dump"))
            command = [
                program,
                "--schema-only",
                "--schema=pillars",
                "--no-owner",
                "--no-privileges",
                server.url,
            ]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        embedded.stop(cluster)
    return "\n".join(line for line in told.splitlines() if not NOISE.match(line)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(dump())
