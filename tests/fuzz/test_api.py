"""The API, asked whatever its own description lets a program ask, and what it does not: Schemathesis against a real `app web`.

No answer may be a 5xx, and each must be as the description says: status, headers, types, what needs a token, which methods there are.
`FUZZ_EXAMPLES=2000` asks more, and otherwise each time.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import httpx2
import pytest

from browser.overseeing import stock
from process.pillar import ready_app, told

TOKEN = "operate-0123456789"
RULES = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = (
    int(os.environ.get("FUZZ_EXAMPLES", "100")) // 10
)  # of each operation, in each of some phases
AGAIN = [] if "FUZZ_EXAMPLES" in os.environ else ["--generation-deterministic"]
LEAST = 300  # requests; with fewer something was not asked at all


def asked(url: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(RULES), "run", url]
    words += ["-H", f"Authorization: Bearer {TOKEN}", "--no-color", "--no-shrink", *AGAIN]
    words += ["--max-examples", str(max(EXAMPLES, 1))]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_whatever_is_asked_the_api_answers_as_it_says(db: str, tmp_path: Path) -> None:
    await stock(db)
    started = ready_app(tmp_path, db, "web", PORT="0", HOST="127.0.0.1", PILLARS_TOKEN=TOKEN)
    async with started as web:
        (line,) = told(web, "web.ready")
        description = f"{line['url']}/api/openapi.json"
        done = await anyio.to_thread.run_sync(asked, description, tmp_path)
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as client:
            said = (await client.get(description)).json()
        broken = told(web, "request.served", status=500)
    assert done.returncode == 0, done.stdout
    operations = sum("operationId" in one for path in said["paths"].values() for one in path.values())  # fmt: skip
    besides_the_description = operations - 1  # which it has read
    assert f"Tested: {besides_the_description}\n" in done.stdout
    [generated] = re.findall(r"^  (\d+) generated", done.stdout, re.MULTILINE)
    assert int(generated) >= LEAST
    assert broken == []
