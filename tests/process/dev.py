"""`app dev` as a user starts it, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from process.pillar import ROOT, App
from support import MEASURED

BIN = Path(sys.executable).parent


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder that Postgres's user can pass when we are root; its server is stopped and all is removed at the end."""
    made = Path(tempfile.mkdtemp(prefix="pillars-dev-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        stop = [str(BIN / "app"), "db", "stop"]
        subprocess.run(stop, cwd=made, env=environ(made), check=False, capture_output=True)
        shutil.rmtree(made)


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PILLARS_LOCK": "5s",
        "PGPORT": "1",  # of somebody's other Postgres: ours is found all the same
        **MEASURED,
        **more,
    }


@contextmanager
def started(folder: Path, *command: str, **more: str) -> Iterator[App]:
    log = folder / f"{Path(command[0]).name}-{len(list(folder.glob('*.out')))}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environ(folder, **more), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield App(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def healthy(port: int) -> bool:
    async with httpx2.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/api/health?strict=1")
        except httpx2.HTTPError:
            return False
    return answer.status_code == 200
