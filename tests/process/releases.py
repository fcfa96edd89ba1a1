"""The release before this one and the one after it, each as a folder of code of its own."""

import shutil
import subprocess
from pathlib import Path

from pillars.store import migrate
from process.pillar import ROOT

PARTS = ("pillars", "sql")
# What a next release may do: new columns on every table that work passes through, and an index that is built beside the work.
EXPANDS = """
alter table pillars.jobs add column probe integer default 7;
alter table pillars.jobs add column probed text;
alter table pillars.finished_jobs add column probe integer;
alter table pillars.attempts add column probe integer default 7;
alter table pillars.locks add column probe integer default 7;
alter table pillars.workers add column probe integer default 7;
alter table pillars.definitions add column probe integer default 7;
alter table pillars.schedules add column probe integer default 7;
alter table pillars.ticks add column probe integer default 7;
"""
INDEX = """-- outside a transaction
create index concurrently if not exists jobs_probe on pillars.jobs (probe) where probe > 7
"""


def previous(folder: Path) -> dict[str, str]:
    """The environment of processes of the previous commit.

    Of this code where git knows no such commit (a clone of one, an unpacked archive), or where migrations that nobody has yet were edited
    since: that, too, is older than `following`, which has migrations of its own.
    """
    folder.mkdir()
    if not (_of_the_previous_commit(folder) and _goes_on_to_this(folder)):
        shutil.rmtree(folder)
        folder.mkdir()
        _copy(folder)
    return _environ(folder)


def following(folder: Path) -> dict[str, str]:
    """The same of this code with two more migrations of the runtime, and one of the app."""
    folder.mkdir()
    _copy(folder)
    last = migrate.of_runtime()[-1].version
    ours, apps = folder / "sql" / "pillars" / "migrations", folder / "sql" / "app"
    (ours / f"{last + 1:04}_probe.sql").write_text(EXPANDS)
    (ours / f"{last + 2:04}_probe_index.sql").write_text(INDEX)
    last = migrate.in_folder("app", apps)[-1].version
    (apps / f"{last + 1:04}_probe.sql").write_text("create table probes (probe int)")
    return _environ(folder)


def _environ(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder), "PILLARS_SQL": str(folder / "sql" / "app")}


def _goes_on_to_this(folder: Path) -> bool:
    """Whether this code's migrations are that code's and further ones."""
    theirs = [*(folder / "sql").glob("*/migrations/*.sql"), *(folder / "sql" / "app").glob("*.sql")]
    ours = [ROOT / path.relative_to(folder) for path in theirs]
    return all(
        one.exists() and one.read_text() == other.read_text()
        for one, other in zip(ours, theirs, strict=True)
    )


def _of_the_previous_commit(folder: Path) -> bool:
    if not shutil.which("git"):
        return False
    packed = folder / "code.tar"
    packing = ["git", "archive", "--output", str(packed), "HEAD^", *PARTS]
    if subprocess.run(packing, cwd=ROOT, check=False, capture_output=True).returncode:
        return False
    shutil.unpack_archive(packed, folder)
    return True


def _copy(folder: Path) -> None:
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
