"""docs/quickstart.md, followed step by step as it stands there, in an empty folder."""

import json
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import pytest

from process.dev import BIN, environ, folder, free_port, healthy, started
from process.pillar import ROOT, App
from support import until

PAGE = ROOT / "docs" / "quickstart.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|--) (\S+\.(?:py|sql|toml))\n")
BY_HAND = ("python3 -m venv", "pip install", "cd shop")
"""Of the page's commands, those that make the environment: here it is that of the tests."""
PILLARS = ("web", "worker", "cron")
VARIES = re.compile(r"\d+ s ago|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str

    @property
    def path(self) -> str | None:
        """Of the file that it shows."""
        named = FILE.match(self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[str]:
        lines = self.text.splitlines() if self.language == "sh" else []
        return [line for line in lines if not any(word in line for word in BY_HAND)]


def blocks() -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(PAGE.read_text("utf-8"))]


class Reader:
    """Somebody who follows the page: writes its files, types its commands, compares what it shows."""

    def __init__(self, shop: Path, port: int) -> None:
        self.shop = shop
        self.port = port
        self.dev: App | None = None
        self.said = ""
        self._before: Counter[str] = Counter()

    @property
    def environ(self) -> dict[str, str]:
        return {**environ(self.shop), "PORT": str(self.port)}

    def write(self, block: Block) -> None:
        assert block.path is not None
        self._before = self._readied()
        path = self.shop / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    async def taken_up(self) -> None:
        """Every pillar has begun anew since the last file was written."""
        if self.dev is None or not self._before:
            return
        await until(
            lambda: all(self._readied()[one] > self._before[one] for one in PILLARS), within=60
        )
        self._before = Counter()
        await until(lambda: healthy(self.port))

    async def type(self, command: str) -> None:
        """Run a command as the page has it, but on our port, and with the pid that was shown."""
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        command = command.replace("PID", self._shown_pid()) if "PID" in command else command
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                ["bash", "-c", command], cwd=self.shop, env=self.environ, capture_output=True,
                text=True, timeout=60, check=False,
            )
        )  # fmt: skip
        self.said = done.stdout
        assert done.returncode == 0, (command, done.stdout, done.stderr, self._log())

    def compare(self, shown: str) -> None:
        """All that the page shows stands in what was said, in its order; times differ."""
        cells = [cell for line in shown.splitlines() for cell in re.split(r"\s{2,}", line.strip())]
        place = 0
        for cell in cells:
            if VARIES.fullmatch(cell):
                continue
            place = self.said.find(cell, place)
            assert place >= 0, (cell, self.said)

    def asked(self, *words: str) -> list[dict[str, object]]:
        """The items of a listing."""
        answered = subprocess.run(
            [BIN / "app", *words, "--json"],
            cwd=self.shop, env=self.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: list[dict[str, object]] = json.loads(answered.stdout)["items"]
        return found

    def _shown_pid(self) -> str:
        [row] = [line for line in self.said.splitlines() if line.startswith("worker ")]
        [pid] = re.findall(r":(\d+)\b", row.split()[1])
        assert f"worker started (pid={pid})" in self._log(), "nobody else's process"
        return str(pid)

    def _readied(self) -> Counter[str]:
        return Counter(re.findall(r"\b(web|worker|cron)\.ready\b", self._log()))

    def _log(self) -> str:
        return "" if self.dev is None else self.dev.output


@pytest.fixture
def reader() -> Iterator[Reader]:
    with folder() as shop:
        yield Reader(shop, free_port())


async def follow(reader: Reader, page: list[Block]) -> None:
    """Follow some blocks; `app dev` has been started by whoever calls."""
    for block in page:
        if block.path is not None:
            reader.write(block)
        elif block.language == "text":
            reader.compare(block.text)
        for command in block.commands:
            await reader.taken_up()
            await reader.type(command)
            await CHECKS.get(command, nothing)(reader)


async def nothing(_reader: Reader) -> None: ...


async def the_refused_order_left_nothing(reader: Reader) -> None:
    receipts = reader.asked("jobs", "list", "--name", "jobs.mail.send_receipt")
    assert [job["payload"] for job in receipts] == [{"to": "a@example.com", "order_id": 1}] * 2


async def one_order_is_there(reader: Reader) -> None:
    assert "(1 row)" in reader.said


async def the_job_runs(reader: Reader) -> None:
    await until(lambda: "report.begun" in reader._log())


async def it_begins_anew_elsewhere(reader: Reader) -> None:
    await until(lambda: reader._log().count("report.begun") == 2)
    [job] = reader.asked("jobs", "list", "--name", "jobs.reports.year_end")
    assert (job["attempt"], job["crashes"], job["state"]) == (1, 1, "running")


CHECKS = {
    "app jobs enqueue jobs.reports.year_end seconds=20": the_job_runs,
    "app jobs list --name jobs.mail.send_receipt": the_refused_order_left_nothing,
    "app db psql -c 'select id, email from orders'": one_order_is_there,
    "kill -9 PID": it_begins_anew_elsewhere,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_page_does_what_it_says(reader: Reader) -> None:
    page = blocks()
    [start] = [number for number, block in enumerate(page) if block.text == "app dev\n"]
    await follow(reader, page[:start])
    with started(reader.shop, str(BIN / "app"), "dev", PORT=str(reader.port)) as reader.dev:
        await until(lambda: f"ready http://127.0.0.1:{reader.port}" in reader._log())
        await until(lambda: healthy(reader.port))
        await follow(reader, page[start + 1 :])
        await until(lambda: "cron.ticked" in reader._log())
        reader.dev.signal(signal.SIGINT)
        assert await reader.dev.ended() == 0, reader._log()


def test_every_check_belongs_to_a_command_of_the_page() -> None:
    typed = [command for block in blocks() for command in block.commands]
    assert set(CHECKS) <= set(typed)
    assert all(shlex.split(command) for command in typed)
