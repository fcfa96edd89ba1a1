"""In an empty folder, with nothing but what is installed: `app dev` to ready, its hint followed, the job run.

python deploy/empty.py FOLDER     the `app` beside this Python is the one that is tried
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HELLO = """from pillars import job


@job
async def hello() -> str:
    return "hello from a worker"
"""
ENQUEUE = """
import asyncio, pillars
from jobs.hello import hello

async def main():
    async with pillars.connect():
        print(await (await hello.enqueue()).result(timeout="60s"))

asyncio.run(main())
"""
PATIENCE = 90.0  # seconds; a hang limit
HINT = "no jobs yet"

bin_ = Path(sys.executable).parent


def until(dev: "subprocess.Popen[bytes]", said: Path, word: str) -> None:
    """Wait until the output holds `word`; show it where it does not."""
    latest = time.monotonic() + PATIENCE
    while word not in said.read_text():
        if dev.poll() is not None or time.monotonic() > latest:
            raise SystemExit(f"app dev did not say {word!r}:\n{said.read_text()}")
        time.sleep(0.1)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def main(folder: Path) -> None:
    environ = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PORT": free_port()}
    said = folder / "dev.out"
    with said.open("wb") as output:
        dev = subprocess.Popen(
            [bin_ / "app", "dev"], cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until(dev, said, "ready http")
        until(dev, said, HINT)
        print(next(line for line in said.read_text().splitlines() if HINT in line))
        (folder / "jobs").mkdir()
        (folder / "jobs" / "__init__.py").touch()
        (folder / "jobs" / "hello.py").write_text(HELLO)
        url = subprocess.run(
            [bin_ / "app", "db", "url"],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        subprocess.run(
            [sys.executable, "-c", ENQUEUE],
            cwd=folder,
            env={**environ, "DATABASE_URL": url.stdout.strip()},
            check=True,
            timeout=PATIENCE,
        )
    finally:
        dev.send_signal(signal.SIGINT)
        code = dev.wait(timeout=30)
    subprocess.run([bin_ / "app", "db", "stop"], cwd=folder, env=environ, check=True)
    if code != 0:
        raise SystemExit(f"app dev ended with {code}:\n{said.read_text()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
