"""An application as it is shipped, and its processes on a machine that has nothing else."""

import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from deploy import reading
from deploy.reading import ROOT
from process.pillar import App, told

VERSION = "{}.{}".format(*sys.version_info)
UNCOMPILED = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was built: how its `app` is called, and with which environment, in a folder where nothing is."""

    command: tuple[str, ...]
    environ: dict[str, str]
    folder: Path

    def run(self, *words: str, **environ: str) -> str:
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            [*self.command, *words], cwd=self.folder, env={**self.environ, **environ},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(self, log: Path, *words: str, **environ: str) -> Iterator[App]:
        """Start a pillar; it is killed at the end of the block where it still runs."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self.command, *words], cwd=self.folder, env={**self.environ, **environ},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield App(process, log)
        finally:
            process.kill()
            process.wait()


def of_prefix(prefix: Path, folder: Path) -> Shipped:
    """A folder that deploy/build.sh has made, with the environment of the image."""
    environ = {
        name: value.replace("/app/", f"{prefix}/")
        for name, value in reading.stages(reading.text("Dockerfile"))[-1].environ.items()
        if "$" not in value
    }
    return Shipped((str(prefix / "bin" / "app"),), environ, folder)


def binary(out: Path, folder: Path) -> Shipped:
    """One executable file, made by deploy/binary.sh of the packages that are installed here; asks no network."""
    prefix = out.parent / "prefix"
    _gather(prefix)
    bin_ = Path(sys.executable).parent
    subprocess.run(
        ["sh", ROOT / "deploy/binary.sh", out, prefix],
        env={**os.environ, "SHIV": str(bin_ / "shiv")}, check=True, capture_output=True,
    )  # fmt: skip
    python = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
    environ = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(out.parent / "unpacked")}
    return Shipped((str(python), str(out)), environ, folder)


def _gather(prefix: Path) -> None:
    """As deploy/build.sh leaves it, from what is installed here."""
    packages = prefix / "lib" / f"python{VERSION}" / "site-packages"
    needed = [Requirement(found["pin"]) for found in reading.pins().values()]
    names = [one.name for one in needed if one.marker is None or one.marker.evaluate()]
    for name in names:
        _copy_distribution(name, packages)
    _copy_distribution(
        "three-pillars", packages, only="dist-info"
    )  # its code may be this checkout's
    shutil.copytree(ROOT / "pillars", packages / "pillars", ignore=UNCOMPILED)
    shutil.copytree(ROOT / "sql/pillars", packages / "pillars/sql")
    for path in reading.application():
        _copy(ROOT / path, prefix / "project" / path)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(sys.executable)


def _copy_distribution(name: str, packages: Path, *, only: str = "") -> None:
    for file in importlib.metadata.distribution(name).files or ():
        if ".." not in file.parts and file.suffix != ".pyc" and only in file.parts[0]:
            _copy(Path(str(file.locate())), packages / file)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=UNCOMPILED)
    else:
        shutil.copy(source, target)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def address(web: App) -> str:
    """Where a web pillar listens, as it logged."""
    [line] = told(web, "web.ready")
    return str(line["url"])


async def drained(*apps: App) -> list[int]:
    """Stop them all at once; their exit codes."""
    for one in apps:
        one.signal(signal.SIGTERM)
    return [await one.ended() for one in apps]
