"""`app config`: what a process here would be told, and by whom."""

import json
from pathlib import Path

import pytest

from pillars.settings import specs
from process.pillar import app

CANARY = "hunter2.canary"
URL = f"postgresql://me:{CANARY}@db.example.com:1/none?sslpassword={CANARY}"


async def config(
    folder: Path, *words: str, code: int = 0, environ: dict[str, str] | None = None
) -> str:
    environ = {"PILLARS_SQL": "sql/app", **(environ or {})}
    with app(folder, None, "config", *words, project=folder, **environ) as run:
        assert await run.ended() == code, run.output
        return run.output


async def test_every_setting_is_shown_once_with_value_source_and_variable(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pillars]\npool = 7\n")
    said = json.loads(
        await config(tmp_path, "--json", environ={"PILLARS_LOCK": "20s", "PORT": "9000"})
    )
    settings = said["settings"]
    assert sorted(settings) == sorted(["project", "env", *(spec.name for spec in specs.SPECS)])
    assert settings["lock"] == {
        "topic": "locks",
        "value": "20s",
        "source": "PILLARS_LOCK",
        "variable": "PILLARS_LOCK",
    }
    assert settings["port"] == {"topic": "web", "value": 9000, "source": "PORT", "variable": "PORT"}
    assert settings["pool"] | {"topic": ""} == {
        "topic": "", "value": 7, "source": "[tool.pillars] pool", "variable": "PILLARS_POOL",
    }  # fmt: skip
    assert (said["errors"], said["warnings"]) == ([], [])


async def test_every_setting_has_a_topic(tmp_path: Path) -> None:
    settings = json.loads(await config(tmp_path, "--json"))["settings"]
    assert not [name for name, row in settings.items() if row["topic"] == "more"]


@pytest.mark.parametrize("words", [(), ("--json",)])
async def test_it_shows_no_secret_and_asks_no_database(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    secrets = {
        "DATABASE_URL": URL, "DATABASE_DIRECT_URL": URL,
        "PILLARS_TOKEN": CANARY, "PILLARS_VIEW_TOKEN": f"{CANARY}2",
    }  # fmt: skip
    said = await config(tmp_path, *words, environ=secrets)
    assert CANARY not in said
    assert "postgresql://me:***@db.example.com:1/none" in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"DATABASE_URL": f"mysql://me:{CANARY}@h/db"},
        {"DATABASE_URL": f"{CANARY}://h/db"},
        {"DATABASE_URL": f"postgresql://me:{CANARY}\n@h/db"},
        {"DATABASE_URL": f"postgresql://me:{CANARY}#@h:port/db"},
        {"PILLARS_TOKEN": f"{CANARY} "},
        {"PILLARS_TOKEN": CANARY, "PILLARS_VIEW_TOKEN": CANARY},
    ],
)
async def test_a_refused_secret_is_told_without_its_value(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    said = await config(tmp_path, code=2, environ=wrong)
    assert CANARY not in said
    assert "\napp: " in said


async def test_what_is_doubtful_and_all_that_is_refused_is_told(tmp_path: Path) -> None:
    said = await config(
        tmp_path,
        code=2,
        environ={"PILLARS_CONCURENCY": "5", "PILLARS_POOL": "many", "PILLARS_LOCK": "1s"},
    )
    assert "warning: PILLARS_CONCURENCY is no setting; did you mean PILLARS_CONCURRENCY?" in said
    assert "app: PILLARS_POOL: expected a whole number from 1 to 1000" in said
    assert "app: PILLARS_LOCK: expected from 2s to 1h" in said
