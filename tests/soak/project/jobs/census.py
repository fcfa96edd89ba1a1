"""Tells how many tasks this process has: SIGUSR1 asks, a file by its pid answers."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path


def tell(*_: object) -> None:
    with suppress(RuntimeError):  # no loop runs just now: whoever asks asks again
        count = len(asyncio.all_tasks(asyncio.get_running_loop()))
        answer = Path(os.environ["SOAK_CENSUS"]) / str(os.getpid())
        half = answer.with_suffix(".half")
        half.write_text(str(count))
        half.rename(answer)


signal.signal(signal.SIGUSR1, tell)
