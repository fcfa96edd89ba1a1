"""A reader that has had enough, such as `head -1`, is no failure."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from support import tell

ROOT = Path(__file__).parent.parent.parent


async def unread(db: str, folder: Path, *words: str, stream: str = "stdout") -> tuple[int, str]:
    """The exit code of a command whose reader has gone before the first line, and what it said elsewhere."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PILLARS_ENV": "prod",
        "PILLARS_SQL": str(ROOT / "sql" / "app"),
        "DATABASE_URL": db,
    }
    reader, writer = os.pipe()
    os.close(reader)

    def call() -> "subprocess.CompletedProcess[str]":
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run(
            [sys.executable, "-m", "pillars", *words],
            cwd=folder, env=environ, text=True, timeout=30, check=False, **(streams | {stream: writer}),
        )  # fmt: skip

    try:
        done = await anyio.to_thread.run_sync(call)
    finally:
        os.close(writer)
    return done.returncode, (done.stdout or "") + (done.stderr or "")


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list"],
        ["jobs", "list", "--json"],
        ["config"],
        ["config", "--json"],
        ["check"],
        ["migrate"],
    ],
)
async def test_a_reader_that_has_gone_is_no_failure(
    db: str, tmp_path: Path, words: list[str]
) -> None:
    await tell(db, "select pillars.enqueue('mail') from generate_series(1, 3)")
    code, said = await unread(db, tmp_path, *words)
    assert code == 0, said
    assert "Traceback" not in said
    assert "Broken pipe" not in said


async def test_words_that_nobody_reads_keep_nothing_from_being_done(
    db: str, tmp_path: Path
) -> None:
    code, said = await unread(db, tmp_path, "jobs", "list", stream="stderr")
    assert (code, said) == (0, "")


async def test_a_failure_stays_one_though_its_reader_has_gone(db: str, tmp_path: Path) -> None:
    gone = "01890a5d-ac96-774b-bcce-b302099a8057"
    code, said = await unread(db, tmp_path, "jobs", "cancel", gone, "--json")
    assert code == 1
    assert "no row is left" in said
