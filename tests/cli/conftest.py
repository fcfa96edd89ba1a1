"""Commands run in this process, as a shell would run them."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
import pytest
import structlog
from click.testing import CliRunner

from cli.said import Run, Said
from pillars import log
from pillars.cli import main

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def app(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command on `db`, as in production, from the folder of an app that defines nothing."""
    monkeypatch.setenv("DATABASE_URL", db)
    monkeypatch.setenv("PILLARS_ENV", "prod")
    monkeypatch.setenv("PILLARS_SQL", str(ROOT / "sql" / "app"))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(log, "_later", [])  # or the next test's first line would be written our way
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.chdir(tmp_path)

    async def run(*words: object, typed: str | bytes | None = None, code: int = 0) -> Said:
        def call() -> Said:
            result = CliRunner().invoke(main, [*map(str, words)], input=typed)
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return Said(result.exit_code, result.stdout, result.stderr)

        said = await anyio.to_thread.run_sync(call)
        assert said.code == code, said
        return said

    yield run
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
