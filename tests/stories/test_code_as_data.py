"""Payloads that would run where somebody unpickled, evaluated or imported what was sent: here they are data, or refused."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pillars import job
from pillars.service.process import Process
from pillars.store.database import Database
from pillars.web.pillar import Web
from stepping import define
from support import ask, counts, running, settings_for, worker_for


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.made,)


@job(name="echo.raw")
async def raw(content: bytes) -> bytes:
    return content


@job(name="echo.any")
async def whatever(value: Any) -> Any:
    return value


def commands(made: Path) -> list[Any]:
    """What has run in readers of other formats."""
    touch = f"touch {made}"
    return [
        {"py/object": "pathlib.Path", "py/reduce": [{"py/function": "os.system"}, {"py/tuple": [touch]}]},
        {"__reduce__": ["os.system", [touch]]},
        {"__class__": "subprocess.Popen", "args": [touch]},
        f"!!python/object/apply:os.system ['{touch}']",
        f"__import__('os').system('{touch}')",
        f"$({touch})", f"`{touch}`", f"; {touch} #", f"{{{{ cycler.__init__.__globals__.os.system('{touch}') }}}}",
        f"'; copy (select '') to program '{touch}'; --",
        base64.b64encode(pickle.dumps(Bomb(made))).decode(),
    ]  # fmt: skip


async def test_what_would_run_elsewhere_comes_back_as_it_was_sent(
    database: Database, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    pickle.loads(pickle.dumps(Bomb(made)))
    assert made.exists()
    made.unlink()
    content = pickle.dumps(Bomb(made))
    async with running(worker_for(database, raw, whatever)):
        assert await (await raw.enqueue(content)).result(timeout="20s") == content
        for value in commands(made):
            assert await (await whatever.enqueue(value)).result(timeout="20s") == value
    assert not made.exists()


async def test_a_pickle_is_no_body_and_no_name_is_imported(
    database: Database, db: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    await define(db, "echo.any")
    before = await counts(db)
    web = Web(Process("web", settings_for(db), database), None).asgi
    transport = httpx2.ASGITransport(app=web)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for media in ("application/x-python-pickle", "application/octet-stream", "application/yaml"):  # fmt: skip
            headers = {"content-type": media}
            sent = await client.post("/api/jobs", content=pickle.dumps(Bomb(made)), headers=headers)
            assert sent.status_code == 415
        headers = {"content-type": "application/json"}
        sent = await client.post("/api/jobs", content=pickle.dumps(Bomb(made)), headers=headers)
        assert sent.status_code == 400
        for name in ("os.system", "pathlib.Path.touch", "subprocess:Popen", "builtins.eval"):
            body = json.dumps({"name": name, "payload": {"command": f"touch {made}"}})
            sent = await client.post("/api/jobs", content=body, headers=headers)
            assert sent.status_code == 404, name
    assert await counts(db) == before
    assert not made.exists()


@pytest.mark.parametrize("name", ["os.system", "pathlib.Path.touch", "builtins.eval"])
async def test_a_row_that_names_a_function_of_python_is_never_begun(
    database: Database, db: str, tmp_path: Path, name: str
) -> None:
    made = tmp_path / "made"
    await ask(db, "select pillars.enqueue($1, jsonb_build_object('command', $2::text))", name, f"touch {made}")  # fmt: skip
    async with running(worker_for(database, whatever)):
        assert await (await whatever.enqueue(1)).result(timeout="20s") == 1
    assert await ask(db, "select attempt from pillars.jobs where name = $1", name) == 0
    assert not made.exists()
