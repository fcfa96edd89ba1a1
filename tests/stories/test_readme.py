"""The app in fifteen lines of the README, run."""

import ast
import inspect
import re
import sys
from types import ModuleType

import pytest

from pillars import Schedule
from pillars.store.database import Database
from process.pillar import ROOT
from support import running, worker_for

MOST_LINES = 15


def parts() -> list[str]:
    """The files that the example shows, and the lines between them, in order."""
    [example] = re.findall(r"^```python\n(# jobs/.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)  # fmt: skip
    return re.split(r"^# .+\n", example, flags=re.MULTILINE)[1:]


async def test_the_app_in_fifteen_lines_runs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, use, crons = parts()
    mail = ModuleType("jobs.mail")
    exec(compile(jobs, "jobs/mail.py", "exec"), mail.__dict__)
    monkeypatch.setitem(sys.modules, "jobs.mail", mail)
    async with running(worker_for(database, mail.send_receipt)):
        names = dict(mail.__dict__)
        awaited = eval(compile(use, "web", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        assert inspect.isawaitable(awaited)
        await awaited
    assert names["receipt"] == "receipt 42 sent"
    scheduled: dict[str, object] = {}
    exec(compile(crons, "crons/reports.py", "exec"), scheduled)
    nightly = scheduled["nightly"]
    assert isinstance(nightly, Schedule)
    assert nightly.job is mail.send_receipt


def test_it_has_no_more_lines_than_it_says() -> None:
    lines = [line for part in parts() for line in part.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES
