"""Noticing that code has changed."""

from pathlib import Path

WATCHED = {".py", ".sql", ".html", ".toml", ".env"}
LEFT_OUT = {".venv", "node_modules", ".git", "__pycache__", ".pillars", "tests", "build", "dist"}


async def changed(project: Path) -> set[Path]:
    """Return, once some file of the project's code has changed, which."""
    from watchfiles import Change, awatch

    def is_code(_change: Change, path: str) -> bool:
        found = Path(path)
        if LEFT_OUT & set(found.relative_to(project).parts[:-1]):
            return False
        return found.suffix in WATCHED or found.name == ".env"

    async for changes in awatch(project, watch_filter=is_code, debounce=200):
        return {Path(path) for _, path in changes}
    return set()
