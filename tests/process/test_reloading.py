"""What counts as changed code, and when it is noticed."""

import os
import time
from pathlib import Path

import anyio
import pytest

from pillars.dev.reloading import changed
from support import until


async def noise(log: Path) -> None:
    """What an app writes beside its code, without a quiet moment."""
    while True:
        log.write_text(str(time.monotonic()))
        await anyio.sleep(0.01)


async def test_a_change_made_before_the_watch_stood_is_found_in_a_folder_that_never_rests(
    tmp_path: Path,
) -> None:
    began_at = time.time()
    (tmp_path / "old.py").touch()
    os.utime(tmp_path / "old.py", (began_at - 60, began_at - 60))
    (tmp_path / "new.py").touch()
    async with anyio.create_task_group() as group:
        group.start_soon(noise, tmp_path / "app.log")
        with anyio.fail_after(20):
            assert await changed(tmp_path, since=began_at) == {tmp_path / "new.py"}
        group.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["jobs/mail.py", "sql/app/0001_a.sql", ".env", "page/home.html"])
async def test_a_change_of_code_is_noticed_and_no_other(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    found: list[set[Path]] = []

    async def watch() -> None:
        found.append(await changed(tmp_path, since=time.time() + 60))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        (tmp_path / "notes.txt").touch()

        def touched() -> bool:
            file.write_text(str(time.monotonic()))
            return bool(found)

        await until(touched, every=0.3)
        group.cancel_scope.cancel()
    assert found == [{file}]
