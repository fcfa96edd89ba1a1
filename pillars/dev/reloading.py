"""Noticing that code has changed."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
from watchfiles import awatch

WATCHED = {".py", ".sql", ".html", ".toml", ".env"}
LEFT_OUT = {".venv", "node_modules", ".git", "__pycache__", ".pillars", "tests", "build", "dist"}
GRAIN = 0.05  # seconds by which a file's time may lag behind the clock
SETTLED = 1.0  # seconds after which the watch surely stands


async def changed(project: Path, *, since: float) -> set[Path]:
    """Return, once some file of the project's code has changed after `since` (seconds since 1970), which.

    What changed before the watch stood is found by the files' times: somebody mends a file while we are still starting.
    """
    found: set[Path] = set()
    async with anyio.create_task_group() as group:

        async def look_back() -> None:
            await anyio.sleep(SETTLED)
            found.update(path for path in _code(project) if _time(path) > since - GRAIN)
            if found:
                group.cancel_scope.cancel()

        group.start_soon(look_back)
        async for change in awatch(
            project,
            watch_filter=lambda _change, path: _is_code(project, Path(path)),
            debounce=200,
        ):
            found.update(Path(path) for _, path in change)
            group.cancel_scope.cancel()
    return found


def _code(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = [one for one in folders if one not in LEFT_OUT]
        yield from (path for file in files if _is_code(project, path := Path(folder, file)))


def _is_code(project: Path, path: Path) -> bool:
    if LEFT_OUT & set(path.relative_to(project).parts[:-1]):
        return False
    return path.suffix in WATCHED or path.name == ".env"


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
