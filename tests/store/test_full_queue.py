"""A server whose queue of notifications is full, which nobody's statement is to blame for."""

import tempfile
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from pillars import embedded
from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.pool import Address

SMALLEST = {**embedded.TEST_SETTINGS, "max_notify_queue_pages": "64"}
PAGE = "select pg_notify('told', repeat('x', 7900) || n) from generate_series(1, 80) n"  # about one each


@pytest.mark.needs("postgres-17")
async def test_that_is_told_as_a_server_that_is_busy_and_not_as_bad_data() -> None:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        cluster = embedded.cluster(Path(made), settings=SMALLEST)
        try:
            with embedded.start(cluster) as server:
                # Whoever listens, and is in a transaction, keeps what it has not heard.
                sleeper = await asyncpg.connect(server.url)
                await sleeper.execute("listen told")
                await sleeper.execute("begin")
                session = await Address(server.url).connect()
                with pytest.raises(DatabaseTrouble) as caught:
                    await session.script(PAGE, timeout=timedelta(seconds=30))
                assert (caught.value.sqlstate, caught.value.kind) == ("54000", Trouble.BUSY)
                await session.close()
                await sleeper.close()
        finally:
            embedded.reset(cluster)
