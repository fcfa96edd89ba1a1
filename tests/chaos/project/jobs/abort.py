"""Jobs that go on until somebody ends them: each writes its process down as it begins, and, where it can, that it has ended."""

import os
import time
from pathlib import Path

import anyio

from pillars import Context, job, shell_job

LOOK = 0.02  # seconds


def begun(mark: str) -> None:
    """Whole, whoever reads it."""
    file = Path(mark)
    file.with_suffix(".half").write_text(str(os.getpid()))
    file.with_suffix(".half").replace(file)


def ended(mark: str) -> None:
    Path(mark).with_suffix(".ended").touch()


@job(name="abort.loop")
async def loop(mark: str) -> None:
    try:
        begun(mark)
        await anyio.sleep_forever()
    finally:
        ended(mark)


@job(name="abort.thread")
def thread(ctx: Context, mark: str) -> None:
    try:
        begun(mark)
        while True:
            ctx.checkpoint_now()
            time.sleep(LOOK)
    finally:
        ended(mark)


@job(name="abort.child", process=True)
def child(mark: str) -> None:
    try:
        begun(mark)
        while True:
            time.sleep(1)
    finally:
        ended(mark)


program = shell_job(
    ["sh", "-c", 'sleep 3600 & echo $$ $! > "$1.half"; mv "$1.half" "$1"; wait', "sh", "{mark}"],
    name="abort.program",
)
